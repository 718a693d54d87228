/**
 * Argon2id (RFC 9106), in a separate WebAssembly module that only sign-in loads.
 *
 * @module
 */

import { MODULE } from "./argon2id_module.ts";

interface Exports {
  readonly memory: WebAssembly.Memory;
  arguments_address(): number;
  arguments_capacity(): number;
  argon2id(
    password: number,
    salt: number,
    secret: number,
    data: number,
    memory: number,
    passes: number,
    lanes: number,
    tag: number,
  ): number;
}

/** The costs and inputs of a hash besides the password. The limits are those of RFC 9106. */
export interface Argon2idOptions {
  /** At least 8 bytes. */
  readonly salt: Uint8Array;
  /** KiB, at least 8 for each lane. */
  readonly memory: number;
  /** At least 1. */
  readonly passes: number;
  /** Lanes, which are computed one after the other. */
  readonly lanes: number;
  /** Bytes of the result. */
  readonly length: number;
  /** A key that is stored separately from the hashes. */
  readonly secret?: Uint8Array;
  readonly associatedData?: Uint8Array;
}

const NOTHING = new Uint8Array();

/** An instance of the module. Its memory grows to the size of its largest hash and does not shrink. */
export class Argon2id {
  readonly #exports: Exports;

  constructor() {
    const module = new WebAssembly.Module(Uint8Array.fromBase64(MODULE));
    this.#exports = new WebAssembly.Instance(module).exports as unknown as Exports;
  }

  /**
   * Hashes a password. This blocks its thread: 32 ms for 19 MiB and two passes.
   *
   * @throws {RangeError} If the inputs have more than 4,096 bytes, a length or cost is not allowed by RFC 9106, or
   * there is not enough memory.
   */
  hash(password: Uint8Array, options: Argon2idOptions): Uint8Array {
    const { salt, memory, passes, lanes, length, secret = NOTHING, associatedData = NOTHING } = options;
    const inputs = [password, salt, secret, associatedData];
    const { arguments_address, arguments_capacity, argon2id } = this.#exports;
    const capacity = arguments_capacity();
    if (inputs.reduce((sum, { length }) => sum + length, 0) > capacity) {
      throw new RangeError(`a password, its salt and what goes with them have at most ${capacity} bytes`);
    }
    const start = arguments_address();
    const buffer = new Uint8Array(this.#exports.memory.buffer);
    let at = start;
    for (const input of inputs) {
      buffer.set(input, at);
      at += input.length;
    }
    const result = argon2id(
      password.length,
      salt.length,
      secret.length,
      associatedData.length,
      memory,
      passes,
      lanes,
      length,
    );
    if (result === 2) throw new RangeError(`no memory for a hash of ${memory} KiB`);
    if (result !== 0) throw new RangeError("a length or cost is not allowed by RFC 9106");
    // New views are needed, because the memory may have grown, and then it has another buffer.
    const tag = new Uint8Array(this.#exports.memory.buffer, start, length);
    const copy = tag.slice();
    tag.fill(0);
    return copy;
  }
}
