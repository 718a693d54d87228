/**
 * Pings hosts behind the tunnel periodically and stores when each answered last.
 *
 * @module
 */

import type { AliveCheck } from "../proxy/rules.ts";
import type { Net } from "./api.ts";

/** Checks that continue until they are disposed of. */
export class AliveChecks implements Disposable {
  /** When each host answered last, in seconds since 1970; 0 for never. */
  readonly answered: Map<string, number>;
  /** Seconds between two pings. */
  readonly interval: number;
  readonly #net: Pick<Net, "ping">;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #end = new AbortController();

  /** Begins. */
  constructor(net: Pick<Net, "ping">, { addresses, interval }: AliveCheck) {
    this.#net = net;
    this.interval = interval;
    this.answered = new Map(addresses.map((address) => [address, 0]));
    this.#timer = setInterval(() => this.#ask(), interval * 1_000);
    this.#ask();
  }

  /** Ends them. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#end.abort();
  }

  #ask(): void {
    const signal = AbortSignal.any([this.#end.signal, AbortSignal.timeout(this.interval * 1_000)]);
    for (const address of this.answered.keys()) {
      // Without an answer the time does not change.
      this.#net.ping(address, { signal }).then(
        () => this.answered.set(address, Date.now() / 1_000),
        () => {},
      );
    }
  }
}
