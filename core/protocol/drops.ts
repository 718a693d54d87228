/**
 * Why the protocol dropped a message or a packet. Nothing here is ever answered or thrown: hostile input costs a count.
 *
 * @module
 */

/** A reason. The value is its place in {@linkcode Drops.counts}. */
export enum Drop {
  /** A handshake message of a wrong type or length. */
  Malformed,
  /**
   * A handshake message while the interface is down or has no private key, or one that was begun with what is gone: a key
   * or a peer of before, an initiation of ours that was sent anew or that a session has come without.
   */
  NotReady,
  /** mac1 is wrong: the sender does not know our public key. */
  BadMac1,
  /** Under load, mac2 was missing or wrong: answered with a cookie. */
  NeedsCookie,
  /** Under load, too many messages from one source, cookie or not. */
  RateLimited,
  /** A public key of low order, static or ephemeral. */
  LowOrder,
  /** An initiation whose static key did not decrypt. */
  BadStatic,
  /** An initiation from a key that is no peer of ours. */
  UnknownPeer,
  /** An initiation whose timestamp did not decrypt. */
  BadTimestamp,
  /** An initiation with a timestamp that is not newer than the newest seen. */
  ReplayedInitiation,
  /** An initiation within 20 ms of the last one. */
  FloodedInitiation,
  /** A response or cookie reply for an index we do not know, or not any more. */
  UnknownIndex,
  /** A response that did not decrypt: a wrong key, another preshared key, or a forgery. */
  BadResponse,
  /** A cookie reply although nothing was sent since the last one. */
  UnexpectedCookie,
  /** A cookie reply that did not decrypt. */
  BadCookie,
  /** The oldest staged packets, when newer ones needed their place. A super-packet counts as the packets it becomes. */
  StagedOverflow,
  /** Staged packets of a peer that was given up, taken down or removed. */
  StagedPurged,
}

/** Counts per reason. */
export class Drops {
  /** Indexed by {@linkcode Drop}. */
  readonly counts: Float64Array = new Float64Array(Drop.StagedPurged + 1);

  /** Counts `amount` drops. @returns Null, so that a rule reads `return drops.count(Drop.BadMac1)`. */
  count(reason: Drop, amount = 1): null {
    this.counts[reason]! += amount;
    return null;
  }

  /** Drops so far for a reason. */
  of(reason: Drop): number {
    return this.counts[reason]!;
  }

  /** All reasons that occurred, by name. */
  *entries(): Iterable<[name: string, count: number]> {
    for (let reason = 0; reason < this.counts.length; reason++) {
      if (this.counts[reason]! > 0) yield [Drop[reason]!, this.counts[reason]!];
    }
  }
}
