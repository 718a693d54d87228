/**
 * Keypairs, and which of them a peer uses (previous, current, next).
 *
 * @module
 */

import type { Milliseconds } from "./clock.ts";
import { REJECT_AFTER_TIME } from "./constants.ts";
import type { Peer } from "./peer.ts";

/** A pair of transport keys. The keys, the counter and the replay window are in `slot` of the keypair store. */
export class Keypair {
  /**
   * False if it must not be used to send any more: it is too old, its counter is spent, or our private key has changed.
   */
  sendable = true;

  constructor(
    readonly peer: Peer,
    /** Its slot in the keypair store. */
    readonly slot: number,
    /** Our index, which the peer puts into its messages. */
    readonly localIndex: number,
    /** Whether we were the initiator; only the initiator replaces a key because of its age. */
    readonly initiator: boolean,
    /** When it was derived. */
    readonly born: Milliseconds,
  ) {}

  /** Whether it is too old to send or receive. */
  expired(now: Milliseconds): boolean {
    return now - this.born >= REJECT_AFTER_TIME;
  }
}

/**
 * The keypairs of a peer (whitepaper §6.3; the kernel's noise.c): the current one; the previous one, for late packets;
 * and the next one, until the initiator's first packet proves that both sides have it.
 */
export class Keypairs {
  previous: Keypair | null = null;
  current: Keypair | null = null;
  next: Keypair | null = null;

  /**
   * Adds a new keypair. The initiator uses it at once, because the response has confirmed it. The responder waits.
   *
   * @param drop Called for each keypair that is no longer kept.
   */
  install(keypair: Keypair, drop: (keypair: Keypair) => void): void {
    const { previous, current, next } = this;
    if (keypair.initiator) {
      // An unconfirmed keypair, of which we are the responder, becomes the previous one, because the peer may already
      // use it.
      this.previous = next ?? current;
      this.current = keypair;
      this.next = null;
      if (next !== null && current !== null) drop(current);
    } else {
      this.previous = null;
      this.next = keypair;
      if (next !== null) drop(next);
    }
    if (previous !== null) drop(previous);
  }

  /**
   * A packet of this keypair was authenticated.
   *
   * @returns True if that confirmed the next keypair, which is now the current one.
   */
  confirm(keypair: Keypair, drop: (keypair: Keypair) => void): boolean {
    if (keypair !== this.next) return false;
    const { previous } = this;
    this.previous = this.current;
    this.current = keypair;
    this.next = null;
    if (previous !== null) drop(previous);
    return true;
  }

  /** Drops all three. */
  clear(drop: (keypair: Keypair) => void): void {
    const { previous, current, next } = this;
    this.previous = this.current = this.next = null;
    if (next !== null) drop(next);
    if (previous !== null) drop(previous);
    if (current !== null) drop(current);
  }

  /** Forbids sending with the current and the next keypair. The peer's packets are still received with them (§6.3). */
  stopSending(): void {
    if (this.next !== null) this.next.sendable = false;
    if (this.current !== null) this.current.sendable = false;
  }
}
