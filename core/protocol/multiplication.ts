/**
 * Multiplications on the curve, which take most of a handshake's time: a fifteenth of a millisecond each. So the code of a
 * handshake does not do those that other hosts can make it do. It says which it needs, and somebody does them, in this
 * thread or in another one, between packets.
 *
 * @module
 */

import type { Crypto } from "./crypto.ts";

/** One of them: X25519 (RFC 7748). */
export class Multiplication {
  /** Whether somebody is doing it, or has done it. */
  begun = false;
  /** Whether the result is there, or it has turned out that there is none. */
  done = false;
  /** Whether there is a result, once it is done. A point of low order has none. */
  usable = false;

  /**
   * @param out Where the result goes.
   * @param point A public key; null for the base point, so that the result is the public key of `privateKey`.
   */
  constructor(readonly out: Uint8Array, readonly privateKey: Uint8Array, readonly point: Uint8Array | null) {}

  /** Does it here and now. */
  run(crypto: Crypto): void {
    this.begun = this.usable = true;
    if (this.point === null) crypto.publicKey(this.out, this.privateKey);
    else this.usable = crypto.dh(this.out, this.privateKey, this.point);
    this.done = true;
  }
}

/**
 * Work that pauses where it needs multiplications. All that it yields are to be done, in any order, and then it goes on.
 * Its caller checks after each pause that the work's assumptions still hold, and else ends it by `return`.
 */
export type Steps<Result> = Generator<readonly Multiplication[], Result, void>;

/** Does the multiplications in this thread. Pauses after each of them. */
export function* multiplying<Result>(crypto: Crypto, steps: Steps<Result>): Generator<void, Result, void> {
  try {
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
      for (const multiplication of value) {
        multiplication.run(crypto);
        yield;
      }
    }
  } finally {
    // Erases what is secret.
    steps.return(undefined as never);
  }
}
