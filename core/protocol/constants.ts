/**
 * The protocol's numbers. Times are in milliseconds. Whitepaper §6.1 unless another source is given.
 *
 * @module
 */

/** An initiator replaces a key older than this when it sends. */
export const REKEY_AFTER_TIME = 120_000;
/** A key older than this neither sends nor receives. */
export const REJECT_AFTER_TIME = 180_000;
/** An unanswered initiation is repeated after this, and never more often. */
export const REKEY_TIMEOUT = 5_000;
/** Repetitions are delayed by 0 to this many milliseconds, so that two initiators do not stay in step (§6.1). */
export const REKEY_TIMEOUT_JITTER = 333;
/** We stop repeating initiations after this. */
export const REKEY_ATTEMPT_TIME = 90_000;
/** A side that received data and has sent nothing since then sends a keepalive after this. */
export const KEEPALIVE_TIMEOUT = 10_000;
/** Keys are erased when no new one came for this long (§6.3). */
export const ERASE_AFTER_TIME = 3 * REJECT_AFTER_TIME;
/** An initiator that receives replaces a key of this age, before it expires while data flows (§6.2). */
export const REKEY_ON_RECEIVE_AFTER_TIME = REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT;
/**
 * The retransmit timer gives up once it has counted more attempts than this: initiation 1 is not counted, and the
 * test comes before the count, so 20 initiations are made in all (the kernel's timers.c).
 */
export const MAX_TIMER_HANDSHAKES = REKEY_ATTEMPT_TIME / REKEY_TIMEOUT;

/** The responder's cookie secret changes after this (§5.3). */
export const COOKIE_SECRET_MAX_AGE = 120_000;
/**
 * A cookie is used for this much less time than its secret is valid, because it has to travel (the kernel's
 * messages.h).
 */
export const COOKIE_SECRET_LATENCY = 5_000;
/** Initiations consumed from one peer (§5.1 requires a limit; the number is the kernel's). */
export const INITIATIONS_PER_SECOND = 50;

/** Packets that wait for a key, per peer (the kernel's messages.h). */
export const MAX_STAGED_PACKETS = 128;
/** Peers of one device (the kernel's messages.h). */
export const MAX_PEERS = 1 << 20;

/** TOS of handshake messages: AF41, so that handshakes also succeed on a saturated link (the kernel's messages.h). */
export const HANDSHAKE_TOS = 0x88;
