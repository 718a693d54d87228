/**
 * Handshakes and keypairs of all peers, and the consequences of each packet that is sent or received.
 *
 * @module
 */

import { KEY_LENGTH, secretBytes } from "../config/key.ts";
import type { Now } from "./clock.ts";
import { HANDSHAKE_TOS, REKEY_AFTER_TIME, REKEY_ON_RECEIVE_AFTER_TIME, REKEY_TIMEOUT } from "./constants.ts";
import { CookieJar } from "./cookie.ts";
import type { Crypto, KeypairStore, Random } from "./crypto.ts";
import { Drop, type Drops } from "./drops.ts";
import { type EndpointWords, sameEndpoint } from "./endpoint.ts";
import { endpointInDoubt, endpointToReturnTo } from "./endpoint_name.ts";
import { Initiations } from "./initiations.ts";
import { IndexTable } from "./index_table.ts";
import { Keypair } from "./keypair.ts";
import { Initiation, Response, writeIndex } from "./messages.ts";
import type { Handshake, Identity, Noise } from "./noise.ts";
import { Outputs } from "./outputs.ts";
import type { Peer } from "./peer.ts";
import { StagedPackets } from "./staged.ts";
import { Timers } from "./timers.ts";

/**
 * Flag of {@linkcode Sessions.dataSent}: the counter has passed 2^60, so the key should be replaced (whitepaper §6.2).
 */
export const REKEY_DUE = 1;
/** Flag of {@linkcode Sessions.dataSent}: the counter is spent, so the key must not be used to send. */
export const COUNTER_SPENT = 2;
/** Flag of {@linkcode Sessions.dataSent}: the socket refused the datagrams. */
export const SEND_FAILED = 8;

/** The parts of a device that sessions need. */
export interface SessionParts {
  readonly crypto: Crypto;
  readonly keypairs: KeypairStore;
  readonly random: Random;
  readonly noise: Noise;
  readonly drops: Drops;
}

/** The sessions of a device. */
export class Sessions {
  /** Our static keys; null without a private key. */
  identity: Identity | null = null;
  /** Whether the interface is up. While it is down, nothing is sent. */
  up = false;
  /** By the index in each message. */
  readonly indices: IndexTable<Handshake | Keypair>;
  readonly timers: Timers;
  readonly staged: StagedPackets<Peer>;
  readonly outputs: Outputs = new Outputs();
  readonly #crypto: Crypto;
  readonly #store: KeypairStore;
  readonly #noise: Noise;
  readonly drops: Drops;
  /** Initiations of ours that are being made. */
  readonly initiations: Initiations;

  constructor({ crypto, keypairs, random, noise, drops }: SessionParts) {
    this.#crypto = crypto;
    this.#store = keypairs;
    this.#noise = noise;
    this.drops = drops;
    this.initiations = new Initiations({
      crypto,
      noise,
      drops,
      send: (handshake, message, now) => this.#initiationMade(handshake, message, now),
    });
    this.indices = new IndexTable(random);
    this.staged = new StagedPackets(drops);
    this.timers = new Timers({
      sendInitiation: (peer, isRetry, now) => this.sendInitiation(peer, isRetry, now),
      sendKeepalive: (peer, now) => this.sendKeepalive(peer, now),
      purgeStaged: (peer) => this.purgeStaged(peer),
      eraseKeys: (peer) => this.eraseKeys(peer),
    }, random);
  }

  /**
   * The keypair to seal with, or null. If it is null, a handshake begins if possible, and the packet must be staged.
   */
  sendingKeypair(peer: Peer, now: Now): Keypair | null {
    const { current } = peer.keypairs;
    if (current !== null && current.sendable) {
      if (!current.expired(now.boot)) return current;
      current.sendable = false;
    }
    this.sendInitiation(peer, false, now);
    return null;
  }

  /**
   * Keeps a packet until there is a key. The oldest packets are dropped if there is no space.
   *
   * @param packets How many packets it becomes, if it is a super-packet.
   */
  stage(peer: Peer, bytes: Uint8Array, packets = 1): void {
    if (peer.removed || !this.up) this.drops.count(Drop.StagedPurged, packets);
    else this.staged.add(peer, bytes, packets);
  }

  /**
   * Packets with content were sealed and sent.
   *
   * @param segments How many; 0 if nothing could be sealed.
   * @param wireBytes Their UDP payloads, headers and tags included.
   * @param flags {@linkcode REKEY_DUE}, {@linkcode COUNTER_SPENT}, {@linkcode SEND_FAILED}.
   */
  dataSent(peer: Peer, keypair: Keypair, segments: number, wireBytes: number, flags: number, now: Now): void {
    // A lane may have sent it before the peer was removed. The engine processes the result later.
    if (peer.removed) return;
    if (segments > 0) {
      this.#anythingSent(peer, wireBytes, flags, now);
      if ((flags & SEND_FAILED) === 0) this.timers.dataSent(peer, now.boot);
    }
    this.#keepKeyFreshAfterSending(peer, keypair, flags, now);
  }

  /** A keepalive was sealed and sent; parameters as for {@linkcode dataSent}. */
  keepaliveSent(peer: Peer, keypair: Keypair, wireBytes: number, flags: number, now: Now): void {
    if (wireBytes > 0) this.#anythingSent(peer, wireBytes, flags, now);
    this.#keepKeyFreshAfterSending(peer, keypair, flags, now);
  }

  #anythingSent(peer: Peer, wireBytes: number, flags: number, now: Now): void {
    if (peer.removed) return;
    this.timers.anyAuthenticatedPacketTraversal(peer, now.boot);
    this.timers.anyAuthenticatedPacketSent(peer);
    if ((flags & SEND_FAILED) === 0) peer.txBytes += wireBytes;
  }

  #keepKeyFreshAfterSending(peer: Peer, keypair: Keypair, flags: number, now: Now): void {
    if (flags & COUNTER_SPENT) keypair.sendable = false;
    const old = keypair.initiator && now.boot - keypair.born >= REKEY_AFTER_TIME;
    if (old || flags & (REKEY_DUE | COUNTER_SPENT)) this.sendInitiation(peer, false, now);
  }

  /** The keypair to open data with, by its index; null if there is none that is recent enough. */
  keypair(index: number, now: Now): Keypair | null {
    const entry = this.indices.get(index);
    return entry instanceof Keypair && !entry.expired(now.boot) ? entry : null;
  }

  /**
   * Data was opened that passed authentication and the replay window.
   *
   * @param authenticated How many datagrams.
   * @param keepalives How many of them had no content.
   * @param wireBytes Their UDP payloads, headers and tags included.
   * @param from Sender of the last of them.
   */
  dataReceived(
    keypair: Keypair,
    authenticated: number,
    keepalives: number,
    wireBytes: number,
    from: EndpointWords,
    now: Now,
  ): void {
    const { peer } = keypair;
    if (peer.removed || authenticated === 0) return;
    this.roam(peer, from);
    if (peer.keypairs.confirm(keypair, this.#dropKeypair)) {
      this.timers.handshakeComplete(peer, now);
      // An initiation of ours that waits for its response is no longer needed.
      this.clearHandshake(peer);
      this.sendStaged(peer, now);
    }
    this.#keepKeyFreshAfterReceiving(peer, now);
    this.timers.anyAuthenticatedPacketReceived(peer);
    this.timers.anyAuthenticatedPacketTraversal(peer, now.boot);
    peer.rxBytes += wireBytes;
    this.timers.dataReceived(peer, authenticated - keepalives, now.boot);
  }

  #keepKeyFreshAfterReceiving(peer: Peer, now: Now): void {
    const { current } = peer.keypairs;
    if (peer.sentLastMinuteHandshake || current === null || !current.sendable || !current.initiator) return;
    if (now.boot - current.born < REKEY_ON_RECEIVE_AFTER_TIME) return;
    peer.sentLastMinuteHandshake = true;
    this.sendInitiation(peer, false, now);
  }

  /** Sends an initiation, unless one or a response was sent less than 5 s ago, or it cannot be made. */
  sendInitiation(peer: Peer, isRetry: boolean, now: Now): void {
    if (!isRetry) peer.handshakeAttempts = 0;
    const identity = this.identity;
    if (identity === null || !this.up || peer.removed) return;
    const configured = endpointToReturnTo(peer);
    if (configured !== null) {
      peer.endpoint = configured.slice();
      peer.unanswered = 0;
    }
    const { endpoint } = peer;
    // Without an endpoint, the kernel makes an initiation and fails to send it. We do not make it, but look the
    // endpoint up.
    if (endpoint === null && peer.endpointName === null) return;
    if (now.boot - peer.lastHandshakeSentAt < REKEY_TIMEOUT) return;
    peer.lastHandshakeSentAt = now.boot;
    if (endpoint === null) {
      this.#lookUp(peer, now);
      this.timers.anyAuthenticatedPacketTraversal(peer, now.boot);
      this.timers.handshakeInitiated(peer, now.boot);
      return;
    }

    this.initiations.make(peer, identity, now);
    if (peer.staticStatic === null) return;
    this.#lookUp(peer, now);
    this.timers.handshakeInitiated(peer, now.boot);
  }

  /** Sends an initiation that was made. It takes the place of the previous one. */
  #initiationMade(handshake: Handshake, message: Uint8Array, now: Now): void {
    const { peer } = handshake;
    this.clearHandshake(peer);
    peer.handshake = handshake;
    this.#giveIndex(handshake, message, Initiation.sender);
    // The peer may have moved since.
    if (peer.endpoint !== null) this.#sendHandshakeMessage(peer, peer.endpoint, message, now);
  }

  /** Has the name of an endpoint looked up if the endpoint is in doubt, or there is none. */
  #lookUp(peer: Peer, now: Now): void {
    const { endpointName } = peer;
    if (endpointName?.address !== null) return;
    if (endpointName.initiating(endpointInDoubt(peer), now.boot)) {
      this.outputs.push({ kind: "lookup", peer, name: endpointName.text });
    }
  }

  /** Sends the response to an initiation. Its keypair waits for the initiator's first packet. */
  sendResponse(handshake: Handshake, message: Uint8Array, endpoint: EndpointWords, now: Now): void {
    this.#giveIndex(handshake, message, Response.sender);
    this.beginSession(handshake, now);
    this.#sendHandshakeMessage(handshake.peer, endpoint, message, now);
  }

  /** Gives a handshake a new index in place of its old one, and writes it into the message. */
  #giveIndex(handshake: Handshake, message: Uint8Array, at: number): void {
    this.indices.remove(handshake.localIndex, handshake);
    handshake.localIndex = this.indices.add(handshake);
    writeIndex(message, at, handshake.localIndex);
  }

  #sendHandshakeMessage(peer: Peer, endpoint: EndpointWords, bytes: Uint8Array, now: Now): void {
    peer.cookieJar ??= new CookieJar(this.#crypto, peer.publicKey);
    peer.cookieJar.addMacs(bytes, now.boot);
    this.timers.anyAuthenticatedPacketTraversal(peer, now.boot);
    this.timers.anyAuthenticatedPacketSent(peer);
    peer.txBytes += bytes.length;
    this.outputs.push({ kind: "handshake", peer, endpoint, bytes, tos: HANDSHAKE_TOS });
  }

  /** Makes a keypair of a finished handshake. It inherits the handshake's index. */
  beginSession(handshake: Handshake, now: Now): void {
    const { peer, localIndex, remoteIndex, initiator } = handshake;
    const keypair = this.#noise.deriveKeys(handshake, (sendKey, receiveKey) => {
      const slot = this.#store.install(sendKey, receiveKey, remoteIndex);
      return new Keypair(peer, slot, localIndex, initiator, now.boot);
    });
    this.indices.replace(localIndex, keypair);
    peer.keypairs.install(keypair, this.#dropKeypair);
    this.timers.sessionDerived(peer, now.boot);
  }

  /** Sends the staged packets, or a keepalive if there are none. */
  sendKeepalive(peer: Peer, now: Now): void {
    peer.keepaliveStaged = true;
    this.sendStaged(peer, now);
  }

  /** Sends the staged packets and the keepalive that is due. */
  sendStaged(peer: Peer, now: Now): void {
    const keepalive = peer.keepaliveStaged, waiting = peer.stagedCount > 0;
    if (!waiting && !keepalive) return;
    if (this.sendingKeypair(peer, now) === null) return;
    peer.keepaliveStaged = false;
    this.outputs.push(waiting ? { kind: "staged", peer, keepalive } : { kind: "keepalive", peer });
  }

  /** Sets the peer's endpoint to the source of an authenticated message (whitepaper §2.1). */
  roam(peer: Peer, from: EndpointWords): EndpointWords {
    if (peer.endpoint === null || !sameEndpoint(peer.endpoint, from)) peer.endpoint = from.slice();
    return peer.endpoint;
  }

  /** Drops the staged packets. */
  purgeStaged(peer: Peer): void {
    peer.keepaliveStaged = false;
    this.staged.purge(peer);
  }

  /** Erases the handshake and all keypairs. */
  eraseKeys(peer: Peer): void {
    this.clearHandshake(peer);
    peer.keypairs.clear(this.#dropKeypair);
  }

  /** Erases the secret of both static keys. */
  eraseStaticStatic(peer: Peer): void {
    peer.staticStatic?.fill(0);
    peer.staticStatic = undefined;
  }

  /** Erases all secrets of a peer, including its configuration. */
  eraseSecrets(peer: Peer): void {
    this.eraseKeys(peer);
    this.eraseStaticStatic(peer);
    setPresharedKey(peer, null);
    peer.cookieJar?.wipe();
  }

  /** Erases our initiation that waits for its response, and the one that is being made. */
  clearHandshake(peer: Peer): void {
    this.initiations.cancel(peer);
    const { handshake } = peer;
    if (handshake === null) return;
    this.indices.remove(handshake.localIndex, handshake);
    handshake.wipe();
    peer.handshake = null;
  }

  readonly #dropKeypair = (keypair: Keypair): void => {
    keypair.sendable = false;
    this.indices.remove(keypair.localIndex, keypair);
    this.#store.forget(keypair.slot);
  };
}

/** Sets a peer's preshared key, which the next handshake uses, and erases the old one. */
export function setPresharedKey(peer: Peer, key: Uint8Array | null): void {
  peer.presharedKey?.fill(0);
  peer.presharedKey = null;
  if (key === null) return;
  peer.presharedKey = secretBytes(KEY_LENGTH);
  peer.presharedKey.set(key);
}
