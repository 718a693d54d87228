/**
 * Counters of many peers, handed out in slices.
 *
 * @module
 */

import { type CounterSlice, KeeperError, type PeerCounters } from "./verbs.ts";

/** Peers of a slice. */
const SLICE = 1_000;
/** Unfinished readings of a connection. The web process needs two. If it leaves more, the oldest ends. */
const MOST = 2;

/** The rests of all readings, by their numbers. */
export class CounterSlices {
  #last = 0;
  readonly #rests = new Map<number, { caller: object; peers: PeerCounters[] }>();

  /**
   * Begins to hand out what a connection has requested.
   *
   * @returns The first slice.
   */
  begin(caller: object, peers: PeerCounters[]): CounterSlice {
    const numbers = [...this.#rests].filter(([, rest]) => rest.caller === caller).map(([number]) => number);
    for (const number of numbers.slice(0, Math.max(0, numbers.length + 1 - MOST))) this.#rests.delete(number);
    return this.#next(caller, peers);
  }

  /** @throws {KeeperError} If there is no such rest. */
  more(caller: object, number: number): CounterSlice {
    const rest = this.#rests.get(number);
    if (rest?.caller !== caller) throw new KeeperError("these counters are no longer there");
    this.#rests.delete(number);
    return this.#next(caller, rest.peers);
  }

  /** Ends what a connection has not finished. */
  endOf(caller: object): void {
    for (const [number, rest] of this.#rests) if (rest.caller === caller) this.#rests.delete(number);
  }

  #next(caller: object, peers: PeerCounters[]): CounterSlice {
    const slice = peers.splice(-SLICE);
    if (peers.length === 0) return { peers: slice, rest: null };
    const rest = ++this.#last;
    this.#rests.set(rest, { caller, peers });
    return { peers: slice, rest };
  }
}
