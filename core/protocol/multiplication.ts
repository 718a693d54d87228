/**
 * Multiplications on the curve, which take most of a handshake's time: a fifteenth of a millisecond each. So code that
 * handles messages of other hosts does not compute them. It yields them, and the caller computes them, in this thread
 * or in another one, between packets.
 *
 * @module
 */

import type { Crypto } from "./crypto.ts";

/** One multiplication: X25519 (RFC 7748). */
export class Multiplication {
  /** Whether it is being computed or has been computed. */
  begun = false;
  /** Whether the computation has ended, with or without a result. */
  done = false;
  /** Whether there is a result when it has ended. A point of low order has none. */
  usable = false;

  /**
   * @param out Where the result goes.
   * @param point A public key; null for the base point, so that the result is the public key of `privateKey`.
   */
  constructor(readonly out: Uint8Array, readonly privateKey: Uint8Array, readonly point: Uint8Array | null) {}

  /** Computes it now, in this thread. */
  run(crypto: Crypto): void {
    this.begun = this.usable = true;
    if (this.point === null) crypto.publicKey(this.out, this.privateKey);
    else this.usable = crypto.dh(this.out, this.privateKey, this.point);
    this.done = true;
  }
}

/**
 * Work that pauses where it needs multiplications. Everything that it yields must be computed, in any order, before it
 * continues. After each pause, its caller checks that the work's assumptions still hold, and otherwise ends it with
 * `return`.
 */
export type Steps<Result> = Generator<readonly Multiplication[], Result, void>;

/** Computes the multiplications in this thread. Pauses after each of them. */
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
    // Erases secrets.
    steps.return(undefined as never);
  }
}

/** Computes all multiplications in this thread, without a pause. */
export function computed<Result>(crypto: Crypto, steps: Steps<Result>): Result {
  const all = multiplying(crypto, steps);
  for (;;) {
    const { done, value } = all.next();
    if (done) return value;
  }
}
