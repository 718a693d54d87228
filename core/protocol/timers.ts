/**
 * The five timers of a peer (whitepaper §6; the kernel's timers.c).
 *
 * | timer | armed by | fires after | and then |
 * | --- | --- | --- | --- |
 * | retransmit handshake | an initiation went out | 5 s + jitter | sends another; after the 20th gives up |
 * | send keepalive | data came in | 10 s in which we sent nothing | sends a keepalive |
 * | new handshake | data went out | 15 s + jitter in which nothing came | sends an initiation |
 * | zero key material | keys were derived, or we gave up | 540 s | erases all keys and the handshake |
 * | persistent keepalive | anything authenticated went out or came in | the configured interval | sends a keepalive |
 *
 * Callers report events, under the kernel's names. Only this file knows their consequences. An event costs one or two
 * stores. The heap of deadlines changes only if a timer is armed for a time before the one at which the peer is
 * scheduled.
 *
 * @module
 */

import { type Milliseconds, NEVER, type Now } from "./clock.ts";
import {
  ERASE_AFTER_TIME,
  KEEPALIVE_TIMEOUT,
  MAX_TIMER_HANDSHAKES,
  REKEY_TIMEOUT,
  REKEY_TIMEOUT_JITTER,
} from "./constants.ts";
import type { Random } from "./crypto.ts";
import { Deadlines } from "./deadlines.ts";
import { clearSource } from "./endpoint.ts";
import type { Peer } from "./peer.ts";
import { NO_DEADLINES, Timer } from "./timer.ts";

/** The actions of timers. */
export interface TimerActions {
  /** Sends an initiation, unless one or a response was sent less than 5 s ago. */
  sendInitiation(peer: Peer, isRetry: boolean, now: Now): void;
  /** Sends the staged packets, or a keepalive if there are none. */
  sendKeepalive(peer: Peer, now: Now): void;
  /** Drops the staged packets. */
  purgeStaged(peer: Peer): void;
  /** Erases all keys and the handshake. */
  eraseKeys(peer: Peer): void;
}

/** The timers of all peers of a device. While the device is down, none can be armed. */
export class Timers {
  /** Whether timers may be armed. */
  running = false;
  /** When to check each peer. An entry may be early, but never late. */
  readonly #schedule = new Deadlines();
  readonly #actions: TimerActions;
  readonly #random: Random;
  readonly #dice = new Uint16Array(1);
  readonly #diceBytes = new Uint8Array(this.#dice.buffer);

  constructor(actions: TimerActions, random: Random) {
    this.#actions = actions;
    this.#random = random;
  }

  /** A time at or before the next expiry, in milliseconds; Infinity if no timer is armed. */
  get nextDeadline(): number {
    return this.#schedule.next;
  }

  /** After an authenticated data packet with content was sent. */
  dataSent(peer: Peer, now: Milliseconds): void {
    if (this.#armed(peer, Timer.NewHandshake) || !this.running) return;
    this.#arm(peer, Timer.NewHandshake, now + KEEPALIVE_TIMEOUT + REKEY_TIMEOUT + this.#jitter());
  }

  /** After authenticated data packets with content were received. */
  dataReceived(peer: Peer, packets: number, now: Milliseconds): void {
    if (packets <= 0 || !this.running) return;
    if (this.#armed(peer, Timer.SendKeepalive)) {
      peer.needAnotherKeepalive = true;
      return;
    }
    if (packets > 1) peer.needAnotherKeepalive = true;
    this.#arm(peer, Timer.SendKeepalive, now + KEEPALIVE_TIMEOUT);
  }

  /** After any authenticated packet was sent: keepalive, data or handshake. */
  anyAuthenticatedPacketSent(peer: Peer): void {
    this.#disarm(peer, Timer.SendKeepalive);
  }

  /** After any authenticated packet was received: keepalive, data or handshake. */
  anyAuthenticatedPacketReceived(peer: Peer): void {
    this.#disarm(peer, Timer.NewHandshake);
    if (peer.unanswered === 0) return;
    peer.unanswered = 0;
    peer.endpointName?.heard();
  }

  /** Before any authenticated packet is sent, and after any was received. */
  anyAuthenticatedPacketTraversal(peer: Peer, now: Milliseconds): void {
    if (peer.persistentKeepalive === 0 || !this.running) return;
    this.#arm(peer, Timer.PersistentKeepalive, now + peer.persistentKeepalive * 1_000);
  }

  /** After an initiation was sent, also if the network refused it. */
  handshakeInitiated(peer: Peer, now: Milliseconds): void {
    peer.unanswered++;
    if (!this.running) return;
    this.#arm(peer, Timer.RetransmitHandshake, now + REKEY_TIMEOUT + this.#jitter());
  }

  /** After a response was received, or the first data packet confirmed the one we sent. */
  handshakeComplete(peer: Peer, now: Now): void {
    this.#disarm(peer, Timer.RetransmitHandshake);
    peer.handshakeAttempts = 0;
    peer.sentLastMinuteHandshake = false;
    const { wall } = now;
    peer.lastHandshake = {
      seconds: Number(wall / 1_000_000_000n),
      nanoseconds: Number(wall % 1_000_000_000n),
    };
  }

  /** After keys were derived: before a response is sent, after one was received. */
  sessionDerived(peer: Peer, now: Milliseconds): void {
    if (this.running) this.#arm(peer, Timer.ZeroKeyMaterial, now + ERASE_AFTER_TIME);
  }

  /** After persistent keepalives were switched on, or the interface came up with them on: the first is due now. */
  persistentKeepaliveStarted(peer: Peer, now: Milliseconds): void {
    if (this.running) this.#arm(peer, Timer.PersistentKeepalive, now);
  }

  /** Disarms all timers of a peer. */
  stop(peer: Peer): void {
    peer.deadlines = NO_DEADLINES;
    peer.handshakeAttempts = 0;
    peer.needAnotherKeepalive = false;
    peer.sentLastMinuteHandshake = false;
    this.#schedule.remove(peer.number);
  }

  /** Removes the next peer that may have expired timers from the schedule. @returns Its number, or -1. */
  pop(now: Milliseconds): number {
    return this.#schedule.pop(now);
  }

  /** Handles the expired timers of a peer that {@linkcode pop} just returned, and puts it back on the schedule. */
  expire(peer: Peer, now: Now): void {
    // Erasure comes first: after a long sleep several timers are due, and it would erase a handshake that another one
    // just began.
    if (this.#expired(peer, Timer.ZeroKeyMaterial, now)) this.#actions.eraseKeys(peer);
    if (this.#expired(peer, Timer.RetransmitHandshake, now)) this.#retransmitHandshake(peer, now);
    if (this.#expired(peer, Timer.SendKeepalive, now)) {
      this.#actions.sendKeepalive(peer, now);
      if (peer.needAnotherKeepalive) {
        peer.needAnotherKeepalive = false;
        // This timer is cancelled when the keepalive is sent, which happens a moment later, as in the kernel.
        this.#arm(peer, Timer.SendKeepalive, now.boot + KEEPALIVE_TIMEOUT);
      }
    }
    if (this.#expired(peer, Timer.NewHandshake, now)) {
      // Responses may fail to arrive because of the source address.
      if (peer.endpoint !== null) clearSource(peer.endpoint);
      this.#actions.sendInitiation(peer, false, now);
    }
    if (this.#expired(peer, Timer.PersistentKeepalive, now) && peer.persistentKeepalive > 0) {
      this.#actions.sendKeepalive(peer, now);
    }
    const next = Math.min(...peer.deadlines);
    if (next !== NEVER) this.#schedule.schedule(peer.number, next);
  }

  #retransmitHandshake(peer: Peer, now: Now): void {
    if (peer.handshakeAttempts > MAX_TIMER_HANDSHAKES) {
      this.#disarm(peer, Timer.SendKeepalive);
      this.#actions.purgeStaged(peer);
      if (!this.#armed(peer, Timer.ZeroKeyMaterial)) {
        this.#arm(peer, Timer.ZeroKeyMaterial, now.boot + ERASE_AFTER_TIME);
      }
      return;
    }
    // We may have sent a response since then, after which no initiation may be sent for 5 s. The kernel does not arm
    // its timer again here. If that response is lost, both sides wait until one of them has data to send.
    const earliest = peer.lastHandshakeSentAt + REKEY_TIMEOUT;
    if (earliest > now.boot) {
      this.#arm(peer, Timer.RetransmitHandshake, earliest + this.#jitter());
      return;
    }
    peer.handshakeAttempts++;
    if (peer.endpoint !== null) clearSource(peer.endpoint);
    this.#actions.sendInitiation(peer, true, now);
  }

  #armed(peer: Peer, timer: Timer): boolean {
    return peer.deadlines[timer] !== NEVER;
  }

  #arm(peer: Peer, timer: Timer, at: number): void {
    if (peer.deadlines === NO_DEADLINES) peer.deadlines = NO_DEADLINES.slice();
    peer.deadlines[timer] = at;
    this.#schedule.schedule(peer.number, at);
  }

  #disarm(peer: Peer, timer: Timer): void {
    if (this.#armed(peer, timer)) peer.deadlines[timer] = NEVER;
  }

  /** Whether a timer is due; then it is disarmed. */
  #expired(peer: Peer, timer: Timer, now: Now): boolean {
    if (peer.deadlines[timer]! > now.boot) return false;
    peer.deadlines[timer] = NEVER;
    return true;
  }

  /** Uniform in 0 to 333 ms. */
  #jitter(): number {
    this.#random(this.#diceBytes);
    return Math.floor(this.#dice[0]! / 2 ** 16 * (REKEY_TIMEOUT_JITTER + 1));
  }
}
