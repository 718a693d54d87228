/**
 * The two clocks: the boot clock, which includes suspended time, for intervals, and the wall clock for timestamps.
 *
 * @module
 */

import { type Arena, ArenaPointer } from "./arena.ts";
import { libc } from "./libc.ts";
import { CLOCK_BOOTTIME, CLOCK_REALTIME } from "./constants.ts";

/** Reads the kernel's clocks into its own `struct timespec`. */
export class Clock {
  readonly #at: number;
  readonly #timespec: ArenaPointer;

  constructor(readonly arena: Arena) {
    this.#at = arena.allocate(16);
    this.#timespec = new ArenaPointer(arena, this.#at);
  }

  /** Milliseconds since boot, suspended time included. */
  boot(): number {
    libc().clock_gettime(CLOCK_BOOTTIME, this.#timespec.value);
    return this.#seconds() * 1e3 + this.#nanoseconds() / 1e6;
  }

  /** Nanoseconds since 1970. */
  wall(): bigint {
    libc().clock_gettime(CLOCK_REALTIME, this.#timespec.value);
    return BigInt(this.#seconds()) * 1_000_000_000n + BigInt(this.#nanoseconds());
  }

  #seconds(): number {
    const { view } = this.arena;
    return view.getUint32(this.#at, true) + view.getUint32(this.#at + 4, true) * 2 ** 32;
  }

  #nanoseconds(): number {
    return this.arena.view.getUint32(this.#at + 8, true);
  }
}
