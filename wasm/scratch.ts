/**
 * A region of memory for the arguments and results of one call. All of it is secret, so it is wiped after the call.
 *
 * @module
 */

import type { Exports } from "./exports.ts";
import type { Address, Memory } from "./memory.ts";

/** The maximum size of the arguments of a handshake or cookie in bytes. */
const SIZE = 4_096;

/** The region of one instance of the module. */
export class Scratch {
  readonly #exports: Exports;
  readonly #memory: Memory;
  readonly #at: Address;
  /** Bytes in use. */
  #used = 0;

  constructor(exports: Exports, memory: Memory) {
    this.#exports = exports;
    this.#memory = memory;
    this.#at = memory.allocate(SIZE);
  }

  /** Space for a result. */
  reserve(length: number): Address {
    const at = this.#at + this.#used;
    this.#used += (length + 15) & ~15;
    if (this.#used > SIZE) throw new RangeError(`${length} bytes do not fit the scratch region`);
    return at;
  }

  /** Copies an argument. @param extra Bytes of space behind it. */
  put(bytes: Uint8Array, extra = 0): Address {
    const at = this.reserve(bytes.length + extra);
    this.#memory.bytes.set(bytes, at);
    return at;
  }

  /** Copies a result. */
  take(out: Uint8Array, from: Address): void {
    out.set(this.#memory.bytes.subarray(from, from + out.length));
  }

  /** Erases all of it, and what the call left on the stack. */
  wipe(): void {
    this.#exports.wipe_stack();
    this.#memory.bytes.fill(0, this.#at, this.#at + this.#used);
    this.#used = 0;
  }
}
