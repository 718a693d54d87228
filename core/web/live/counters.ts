/**
 * Requests counters of peers from the keeper.
 *
 * @module
 */

import type { KeeperClient } from "../keeper/client.ts";
import type { CounterSlice, PeerCounters, Verbs } from "../keeper/verbs.ts";

/**
 * Requests the counters of peers, some at a time.
 *
 * @throws {KeeperError} If they cannot be read.
 */
export async function* countersOf(
  keeper: KeeperClient,
  takes: Verbs["counters"]["takes"],
): AsyncGenerator<readonly PeerCounters[], void> {
  for (let slice: CounterSlice = await keeper.ask("counters", takes);;) {
    yield slice.peers;
    if (slice.rest === null) return;
    slice = await keeper.ask("moreCounters", { rest: slice.rest });
  }
}
