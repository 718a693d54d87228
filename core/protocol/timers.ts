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
 * Callers report facts, under the kernel's names; only this file knows what follows from them. A fact costs a store
 * or two: the heap is touched when a timer is armed before anything the peer is already scheduled for.
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

/** What timers make happen. */
export interface TimerActions {
  /** Sends an initiation, unless one or a response went out less than 5 s ago. */
  sendInitiation(peer: Peer, isRetry: boolean, now: Now): void;
  /** Sends what is staged, or else a keepalive. */
  sendKeepalive(peer: Peer, now: Now): void;
  /** Drops what is staged. */
  purgeStaged(peer: Peer): void;
  /** Erases all keys and the handshake. */
  eraseKeys(peer: Peer): void;
}

/** The timers of all peers of a device. While the device is down none can be armed. */
export class Timers {
  /** Whether timers may be armed. */
  running = false;
  readonly #deadlines = new Deadlines();
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
    return this.#deadlines.next;
  }

  /** After an authenticated data packet with content was sent. */
  dataSent(peer: Peer, now: Milliseconds): void {
    if (peer.newHandshakeAt !== NEVER || !this.running) return;
    peer.newHandshakeAt = now + KEEPALIVE_TIMEOUT + REKEY_TIMEOUT + this.#jitter();
    this.#schedule(peer, peer.newHandshakeAt);
  }

  /** After authenticated data packets with content were received. */
  dataReceived(peer: Peer, packets: number, now: Milliseconds): void {
    if (packets <= 0 || !this.running) return;
    if (peer.sendKeepaliveAt !== NEVER) {
      peer.needAnotherKeepalive = true;
      return;
    }
    peer.sendKeepaliveAt = now + KEEPALIVE_TIMEOUT;
    if (packets > 1) peer.needAnotherKeepalive = true;
    this.#schedule(peer, peer.sendKeepaliveAt);
  }

  /** After any authenticated packet was sent: keepalive, data or handshake. */
  anyAuthenticatedPacketSent(peer: Peer): void {
    peer.sendKeepaliveAt = NEVER;
  }

  /** After any authenticated packet was received: keepalive, data or handshake. */
  anyAuthenticatedPacketReceived(peer: Peer): void {
    peer.newHandshakeAt = NEVER;
    if (peer.unanswered === 0) return;
    peer.unanswered = 0;
    peer.endpointName?.heard();
  }

  /** Before any authenticated packet is sent, and after any was received. */
  anyAuthenticatedPacketTraversal(peer: Peer, now: Milliseconds): void {
    if (peer.persistentKeepalive === 0 || !this.running) return;
    peer.persistentKeepaliveAt = now + peer.persistentKeepalive * 1_000;
    this.#schedule(peer, peer.persistentKeepaliveAt);
  }

  /** After an initiation was sent, also if the network refused it. */
  handshakeInitiated(peer: Peer, now: Milliseconds): void {
    peer.unanswered++;
    if (!this.running) return;
    peer.retransmitHandshakeAt = now + REKEY_TIMEOUT + this.#jitter();
    this.#schedule(peer, peer.retransmitHandshakeAt);
  }

  /** After a response was received, or the first data packet confirmed the one we sent. */
  handshakeComplete(peer: Peer, now: Now): void {
    peer.retransmitHandshakeAt = NEVER;
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
    if (!this.running) return;
    peer.zeroKeyMaterialAt = now + ERASE_AFTER_TIME;
    this.#schedule(peer, peer.zeroKeyMaterialAt);
  }

  /** After persistent keepalives were switched on, or the interface came up with them on: the first is due now. */
  persistentKeepaliveStarted(peer: Peer, now: Milliseconds): void {
    if (!this.running) return;
    peer.persistentKeepaliveAt = now;
    this.#schedule(peer, now);
  }

  /** Disarms all timers of a peer. */
  stop(peer: Peer): void {
    peer.retransmitHandshakeAt = NEVER;
    peer.sendKeepaliveAt = NEVER;
    peer.newHandshakeAt = NEVER;
    peer.zeroKeyMaterialAt = NEVER;
    peer.persistentKeepaliveAt = NEVER;
    peer.handshakeAttempts = 0;
    peer.needAnotherKeepalive = false;
    peer.sentLastMinuteHandshake = false;
    this.#deadlines.remove(peer.number);
  }

  /** Takes the next peer that may have expired timers off the schedule. @returns Its number, or -1. */
  pop(now: Milliseconds): number {
    return this.#deadlines.pop(now);
  }

  /** Runs the expired timers of a peer just {@linkcode pop}ped, and schedules it anew. */
  expire(peer: Peer, now: Now): void {
    // Erasure first: after a long sleep several are due, and it would wipe the handshake that another one just began.
    if (peer.zeroKeyMaterialAt <= now.boot) {
      peer.zeroKeyMaterialAt = NEVER;
      this.#actions.eraseKeys(peer);
    }
    if (peer.retransmitHandshakeAt <= now.boot) {
      peer.retransmitHandshakeAt = NEVER;
      this.#retransmitHandshake(peer, now);
    }
    if (peer.sendKeepaliveAt <= now.boot) {
      peer.sendKeepaliveAt = NEVER;
      this.#actions.sendKeepalive(peer, now);
      if (peer.needAnotherKeepalive) {
        peer.needAnotherKeepalive = false;
        // The keepalive cancels this when it is sent, which is a moment later, here as in the kernel.
        peer.sendKeepaliveAt = now.boot + KEEPALIVE_TIMEOUT;
      }
    }
    if (peer.newHandshakeAt <= now.boot) {
      peer.newHandshakeAt = NEVER;
      // The source address may be why nothing comes back.
      if (peer.endpoint !== null) clearSource(peer.endpoint);
      this.#actions.sendInitiation(peer, false, now);
    }
    if (peer.persistentKeepaliveAt <= now.boot) {
      peer.persistentKeepaliveAt = NEVER;
      if (peer.persistentKeepalive > 0) this.#actions.sendKeepalive(peer, now);
    }
    const next = Math.min(
      peer.retransmitHandshakeAt,
      peer.sendKeepaliveAt,
      peer.newHandshakeAt,
      peer.zeroKeyMaterialAt,
      peer.persistentKeepaliveAt,
    );
    if (next !== NEVER) this.#schedule(peer, next);
  }

  #retransmitHandshake(peer: Peer, now: Now): void {
    if (peer.handshakeAttempts > MAX_TIMER_HANDSHAKES) {
      peer.sendKeepaliveAt = NEVER;
      this.#actions.purgeStaged(peer);
      if (peer.zeroKeyMaterialAt === NEVER) peer.zeroKeyMaterialAt = now.boot + ERASE_AFTER_TIME;
      return;
    }
    // A response of ours may have gone out since, after which no initiation follows for 5 s. The kernel lets go of its
    // timer here; if that response is lost, both sides wait for somebody to have something to say.
    const earliest = peer.lastHandshakeSentAt + REKEY_TIMEOUT;
    if (earliest > now.boot) {
      peer.retransmitHandshakeAt = earliest + this.#jitter();
      return;
    }
    peer.handshakeAttempts++;
    if (peer.endpoint !== null) clearSource(peer.endpoint);
    this.#actions.sendInitiation(peer, true, now);
  }

  #schedule(peer: Peer, at: number): void {
    this.#deadlines.schedule(peer.number, at);
  }

  /** Uniform in 0 to 333 ms. */
  #jitter(): number {
    this.#random(this.#diceBytes);
    return Math.floor(this.#dice[0]! / 2 ** 16 * (REKEY_TIMEOUT_JITTER + 1));
  }
}
