/**
 * Transport keys and their three places.
 *
 * @module
 */

import type { Milliseconds } from "./clock.ts";
import { REJECT_AFTER_TIME } from "./constants.ts";
import type { Peer } from "./peer.ts";

/** A pair of transport keys. The keys, the counter and the replay window are in `slot` of the keypair store. */
export class Keypair {
  /** False once it must not send any more: too old, its counter spent, or our private key changed. */
  sendable = true;

  constructor(
    readonly peer: Peer,
    /** Where the keypair store keeps it. */
    readonly slot: number,
    /** Our index, under which the peer sends to us. */
    readonly localIndex: number,
    /** Whether we made the initiation; only then is it on us to replace the key. */
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
 * The keypairs of a peer: the one in use, the one before it (packets may be late), and the one that waits for the
 * initiator's first packet as proof that both sides have it (whitepaper §6.3; the kernel's noise.c).
 */
export class Keypairs {
  previous: Keypair | null = null;
  current: Keypair | null = null;
  next: Keypair | null = null;

  /**
   * Takes in a new keypair. The initiator's is in use at once, since the response confirmed it; the responder's waits.
   *
   * @param drop Called for each keypair that falls out.
   */
  install(keypair: Keypair, drop: (keypair: Keypair) => void): void {
    const { previous, current, next } = this;
    if (keypair.initiator) {
      // An unconfirmed responder keypair is kept as the previous one: its initiator may already be using it.
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
   * Notes that a packet of this keypair was authenticated.
   *
   * @returns True if that confirmed the waiting keypair, which is in use from now on.
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

  /** Forbids sending with what is or comes into use; what the peer still sends with it is received (§6.3). */
  stopSending(): void {
    if (this.next !== null) this.next.sendable = false;
    if (this.current !== null) this.current.sendable = false;
  }
}
