/**
 * Why the protocol dropped a message or a packet. Hostile input is counted. It is not answered, and throws no error.
 *
 * @module
 */

/** A reason. The value is its index in {@linkcode Drops.counts}. */
export enum Drop {
  /** A handshake message of a wrong type or length. */
  Malformed,
  /**
   * A handshake message while the interface is down or has no private key. Also a message whose handling was overtaken
   * by a change: of our key, of the peer, or of our initiation, which was replaced or is no longer needed.
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
  /** An initiation whose static key could not be decrypted. */
  BadStatic,
  /** An initiation whose static key belongs to no peer. */
  UnknownPeer,
  /** An initiation whose timestamp could not be decrypted. */
  BadTimestamp,
  /** An initiation with a timestamp that is not newer than the newest one seen. */
  ReplayedInitiation,
  /** An initiation within 20 ms of the last one. */
  FloodedInitiation,
  /** A response or cookie reply for an index that is not in use. */
  UnknownIndex,
  /** A response that could not be decrypted: a wrong key, another preshared key, or a forgery. */
  BadResponse,
  /** A cookie reply although nothing was sent since the last one. */
  UnexpectedCookie,
  /** A cookie reply that could not be decrypted. */
  BadCookie,
  /** The oldest staged packets, dropped for newer ones. A super-packet counts as the packets that it becomes. */
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
