/**
 * Names and deadlines of a peer's timers (whitepaper §6; the kernel's timers.c).
 *
 * @module
 */

import { NEVER } from "./clock.ts";

/** A timer of a peer. The value is its index in `Peer.deadlines`. */
export enum Timer {
  /** When to repeat an initiation that was not answered. */
  RetransmitHandshake,
  /** When to send a keepalive because data came in and we have sent nothing since. */
  SendKeepalive,
  /** When to begin a handshake because data went out and nothing has come in since. */
  NewHandshake,
  /** When to erase all keys. */
  ZeroKeyMaterial,
  /** When to send the next persistent keepalive. */
  PersistentKeepalive,
}

/**
 * The deadlines of a peer without an armed timer. All peers share this array until their first timer is armed. It must
 * not be written to.
 */
export const NO_DEADLINES: number[] = [NEVER, NEVER, NEVER, NEVER, NEVER];
