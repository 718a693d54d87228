/**
 * Handshake messages that were received: initiations, responses, cookie replies (whitepaper §5.3, §5.4).
 *
 * @module
 */

import type { Milliseconds, Now } from "./clock.ts";
import type { CookieChecker } from "./cookie.ts";
import { Drop, type Drops } from "./drops.ts";
import type { EndpointWords } from "./endpoint.ts";
import {
  CookieReply,
  isHandshakeMessage,
  MESSAGE_COOKIE_REPLY,
  MESSAGE_INITIATION,
  MESSAGE_RESPONSE,
  messageType,
  readIndex,
  Response,
  RESPONSE_LENGTH,
} from "./messages.ts";
import type { Steps } from "./multiplication.ts";
import { Handshake, type Identity, type Noise } from "./noise.ts";
import type { Peer } from "./peer.ts";
import type { PeerTable } from "./peer_table.ts";
import { RateLimiter } from "./rate_limiter.ts";
import type { Sessions } from "./sessions.ts";

/** Handles handshake messages, and begins sessions with those that are authentic. */
export class ReceivedHandshakes {
  /** Incremented when our private key changes or the interface goes down. Earlier messages are then not finished. */
  era = 0;
  readonly limiter: RateLimiter = new RateLimiter();
  readonly drops: Drops;
  readonly #sessions: Sessions;
  readonly #peers: PeerTable;
  readonly #noise: Noise;
  readonly #cookies: CookieChecker;

  constructor(sessions: Sessions, peers: PeerTable, noise: Noise, cookies: CookieChecker) {
    this.#sessions = sessions;
    this.#peers = peers;
    this.#noise = noise;
    this.#cookies = cookies;
    this.drops = sessions.drops;
  }

  /**
   * A datagram arrived that is not a data message. Makes the cheap checks, so that a stranger cannot fill a queue with
   * messages that would be dropped later. Handles cookie replies at once, because decrypting one costs less than
   * checking mac1.
   *
   * @returns Whether it is an initiation or a response to be handled by {@linkcode steps}.
   */
  arrived(datagram: Uint8Array, now: Now): boolean {
    const reason = this.#cheapReasonToDrop(datagram);
    if (reason !== null) {
      this.drops.count(reason);
      return false;
    }
    if (messageType(datagram) !== MESSAGE_COOKIE_REPLY) return true;
    this.#handleCookieReply(datagram, now.boot);
    return false;
  }

  #cheapReasonToDrop(datagram: Uint8Array): Drop | null {
    if (!isHandshakeMessage(datagram)) return Drop.Malformed;
    if (this.#sessions.identity === null || !this.#sessions.up) return Drop.NotReady;
    switch (messageType(datagram)) {
      case MESSAGE_COOKIE_REPLY:
        return null;
      case MESSAGE_RESPONSE: {
        const index = readIndex(datagram, Response.receiver);
        if (!(this.#sessions.indices.get(index) instanceof Handshake)) return Drop.UnknownIndex;
      }
    }
    return this.#cookies.mac1IsValid(datagram) ? null : Drop.BadMac1;
  }

  /**
   * Handles an initiation or a response in steps, so that packets need not wait for all of them. Between two steps the
   * device may change, and other messages may be handled. If the message's peer or our key is then gone, or a newer
   * initiation of the peer was accepted, the message is dropped.
   *
   * @param message One for which {@linkcode arrived} returned true. It must not be in memory that the keypair store may
   * grow.
   * @param from The sender, and the address of ours to which it sent.
   * @param underLoad Whether senders must prove their address first.
   * @param now Read again in each step.
   */
  *steps(message: Uint8Array, from: EndpointWords, underLoad: boolean, now: Now): Steps<void> {
    const identity = this.#sessions.identity;
    if (identity === null || !this.#sessions.up) {
      this.drops.count(Drop.NotReady);
      return;
    }
    if (underLoad && !this.#admit(message, from, now.boot)) return;

    const peer = yield* messageType(message) === MESSAGE_INITIATION
      ? this.#handleInitiation(message, identity, from, now)
      : this.#handleResponse(message, identity, from, now);
    if (peer === null) return;
    peer.rxBytes += message.length;
    this.#sessions.timers.anyAuthenticatedPacketReceived(peer);
    this.#sessions.timers.anyAuthenticatedPacketTraversal(peer, now.boot);
  }

  /**
   * Runs the steps of a message while our key stays the same, the interface is up and `holds` returns true.
   *
   * @returns The result, or null if the message was dropped. The drop is then counted.
   */
  *#whileValid<Result>(steps: Steps<Result>, holds = () => true): Steps<Result | null> {
    const era = this.era;
    try {
      for (;;) {
        const { done, value } = steps.next();
        if (done) return value;
        yield value;
        if (this.era !== era || !holds()) return this.drops.count(Drop.NotReady);
      }
    } finally {
      // Runs the generator's own `finally`, which zeroes its secrets.
      steps.return(undefined as never);
    }
  }

  /** Under load: admits senders that have our cookie, at a limited rate, and sends a cookie to the others. */
  #admit(datagram: Uint8Array, from: EndpointWords, now: Milliseconds): boolean {
    if (!this.#cookies.mac2IsValid(datagram, from, now)) {
      this.drops.count(Drop.NeedsCookie);
      const bytes = this.#cookies.createReply(datagram, from, now);
      this.#sessions.outputs.push({ kind: "handshake", peer: null, endpoint: from.slice(), bytes, tos: 0 });
      return false;
    }
    if (!this.limiter.allow(from, now)) {
      this.drops.count(Drop.RateLimited);
      return false;
    }
    return true;
  }

  *#handleInitiation(
    message: Uint8Array,
    identity: Identity,
    from: EndpointWords,
    now: Now,
  ): Steps<Peer | null> {
    const find = (key: Uint8Array) => this.#peers.get(key) ?? null;
    const handshake = yield* this.#whileValid(
      this.#noise.consumeInitiation(message, identity, find, now),
    );
    if (handshake === null) return null;
    const { peer } = handshake;
    const { latestTimestamp } = peer;
    const endpoint = this.#sessions.roam(peer, from);
    peer.lastHandshakeSentAt = now.boot;
    const response = new Uint8Array(RESPONSE_LENGTH);
    try {
      const created = yield* this.#whileValid(
        this.#noise.createResponse(response, handshake),
        // A response to an older initiation would replace the session of the newer one, which is the one that the peer
        // waits for.
        () => !peer.removed && peer.latestTimestamp === latestTimestamp,
      );
      if (created === null) return null;
      if (created) this.#sessions.sendResponse(handshake, response, endpoint, now);
      else this.drops.count(Drop.LowOrder);
      return peer;
    } finally {
      handshake.wipe();
    }
  }

  *#handleResponse(
    message: Uint8Array,
    identity: Identity,
    from: EndpointWords,
    now: Now,
  ): Steps<Peer | null> {
    const index = readIndex(message, Response.receiver);
    const handshake = this.#sessions.indices.get(index);
    if (!(handshake instanceof Handshake)) return this.drops.count(Drop.UnknownIndex);
    // If a new initiation was sent meanwhile, it has another index.
    const genuine = yield* this.#whileValid(
      this.#noise.consumeResponse(message, handshake, identity),
      () => this.#sessions.indices.get(index) === handshake,
    );
    if (!genuine) return null;
    const { peer } = handshake;
    this.#sessions.roam(peer, from);
    peer.handshake = null;
    this.#sessions.beginSession(handshake, now);
    // A newer initiation that is being made is no longer needed.
    this.#sessions.clearHandshake(peer);
    this.#sessions.timers.handshakeComplete(peer, now);
    // Data, or a keepalive if there is no data. Both confirm the key to the responder.
    this.#sessions.sendKeepalive(peer, now);
    return peer;
  }

  /** Changes no timers and no endpoint, and is not answered. The cookie is for our next message. */
  #handleCookieReply(message: Uint8Array, now: Milliseconds): void {
    const entry = this.#sessions.indices.get(readIndex(message, CookieReply.receiver));
    if (entry === undefined) {
      this.drops.count(Drop.UnknownIndex);
      return;
    }
    const jar = entry.peer.cookieJar;
    if (jar === null || !jar.awaitsReply) this.drops.count(Drop.UnexpectedCookie);
    else if (!jar.consumeReply(message, now)) this.drops.count(Drop.BadCookie);
  }
}
