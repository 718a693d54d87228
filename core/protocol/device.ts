/**
 * A WireGuard device without any I/O: its configuration, the routing by allowed IPs, and its parts.
 *
 * The caller passes bytes and the time. It configures the device here, reports received handshake messages to
 * {@linkcode Device.handshakes}, and reports packets that were sent and received to {@linkcode Device.sessions}. The
 * sessions also provide the keypairs: the packet path seals and opens data itself. The resulting actions wait in
 * {@linkcode Device.poll}, which must be called until it returns null. {@linkcode Device.nextDeadline} says when to
 * call {@linkcode Device.handleTimeout}.
 *
 * @module
 */

import { clampKey, equalBytes, KEY_LENGTH, secretBytes } from "../config/key.ts";
import type { Prefix } from "../config/prefix.ts";
import { AllowedIps, type TrieMemory } from "./allowed_ips.ts";
import { LONG_AGO, type Now } from "./clock.ts";
import { MAX_PEERS } from "./constants.ts";
import { CookieChecker } from "./cookie.ts";
import type { Crypto, KeypairStore, Random } from "./crypto.ts";
import { Drops } from "./drops.ts";
import { clearSource, type EndpointWords, sameEndpoint } from "./endpoint.ts";
import { endpointInDoubt, EndpointName } from "./endpoint_name.ts";
import { type Identity, Noise } from "./noise.ts";
import type { Output } from "./outputs.ts";
import type { Peer } from "./peer.ts";
import { PeerTable } from "./peer_table.ts";
import { ReceivedHandshakes } from "./received_handshakes.ts";
import { Sessions, setPresharedKey } from "./sessions.ts";

/**
 * Expired peers handled per {@linkcode Device.handleTimeout}. Each may cost an initiation (two X25519 multiplications),
 * and ten thousand keepalives may be due together. Packets are processed in between.
 */
const EXPIRIES_PER_CALL = 8;

/** What a device is made of. */
export interface DeviceOptions {
  /** Primitives. */
  crypto: Crypto;
  /** Stores the transport keys. */
  keypairs: KeypairStore;
  /** Random bytes. */
  random: Random;
  /** Where the trie of allowed IPs is; by default on the heap. */
  trieMemory?: TrieMemory;
  /** The most peers that there may be; by default as many as in the kernel. */
  maxPeers?: number;
}

/** One interface's keys, peers and sessions. */
export class Device {
  /** What was dropped here, by reason. */
  readonly drops: Drops = new Drops();
  /** The most peers that there may be. */
  readonly maxPeers: number;

  /** Keypairs, and the consequences of each packet that is sent or received. */
  readonly sessions: Sessions;
  /** Handshake messages that were received. */
  readonly handshakes: ReceivedHandshakes;
  readonly crypto: Crypto;

  readonly #cookies: CookieChecker;
  readonly #allowedIps: AllowedIps;
  readonly #peers = new PeerTable();

  constructor({ crypto, keypairs, random, trieMemory, maxPeers = MAX_PEERS }: DeviceOptions) {
    const { drops } = this;
    this.maxPeers = maxPeers;
    this.crypto = crypto;
    this.#cookies = new CookieChecker(crypto, random);
    this.#allowedIps = new AllowedIps(trieMemory);
    const noise = new Noise(crypto, random, drops);
    this.sessions = new Sessions({ crypto, keypairs, random, noise, drops });
    this.handshakes = new ReceivedHandshakes(this.sessions, this.#peers, noise, this.#cookies);
  }

  /** Our private key, clamped; null if there is none. */
  get privateKey(): Uint8Array | null {
    return this.sessions.identity?.privateKey ?? null;
  }

  /** Our public key; null without a private key. */
  get publicKey(): Uint8Array | null {
    return this.sessions.identity?.publicKey ?? null;
  }

  /**
   * Sets our private key. A peer with the new public key is removed. All other peers can still receive on their keypairs,
   * but need new ones to send.
   *
   * @param key Copied and clamped; null for none.
   */
  setPrivateKey(key: Uint8Array | null, now: Now): void {
    const privateKey = key === null ? null : clampedCopy(key);
    const old = this.sessions.identity;
    const same = old !== null && privateKey !== null && equalBytes(old.privateKey, privateKey);
    if (same) privateKey.fill(0);
    if (same || old === privateKey) return;
    const identity = privateKey === null ? null : this.#identityOf(privateKey);
    const self = identity && this.peer(identity.publicKey);
    if (self) this.removePeer(self);
    this.sessions.identity = identity;
    this.handshakes.era++;
    old?.privateKey.fill(0);
    if (identity !== null) this.#cookies.setPublicKey(identity.publicKey);
    for (const peer of this.#peers.all) {
      this.sessions.eraseStaticStatic(peer);
      this.sessions.clearHandshake(peer);
      peer.lastHandshakeSentAt = LONG_AGO;
      peer.keypairs.stopSending();
      // Keepalives that were due while there was no private key to make a handshake with.
      if (old === null && peer.persistentKeepalive > 0) {
        this.sessions.timers.persistentKeepaliveStarted(peer, now.boot);
      }
    }
  }

  /** All peers in the order they were added. */
  get peers(): Iterable<Peer> {
    return this.#peers.all;
  }

  /** How many peers there are. */
  get peerCount(): number {
    return this.#peers.size;
  }

  /** The peer with a public key. */
  peer(publicKey: Uint8Array): Peer | undefined {
    return this.#peers.get(publicKey);
  }

  /** Adds a peer, or finds it. @returns Null for our own public key, or if there are {@linkcode maxPeers} already. */
  addPeer(publicKey: Uint8Array): Peer | null {
    const existing = this.#peers.get(publicKey);
    if (existing !== undefined) return existing;
    if (this.sessions.identity !== null && equalBytes(this.sessions.identity.publicKey, publicKey)) {
      return null;
    }
    if (this.#peers.size >= this.maxPeers) return null;
    return this.#peers.add(publicKey, this.sessions.staged);
  }

  /** Removes a peer and all of its state. Its outputs are not returned by {@linkcode poll} any more. */
  removePeer(peer: Peer): void {
    if (peer.removed) return;
    peer.removed = true;
    this.#allowedIps.removeAll(peer.number);
    this.sessions.timers.stop(peer);
    this.sessions.purgeStaged(peer);
    this.sessions.eraseSecrets(peer);
    this.#peers.remove(peer);
  }

  /** Sets a peer's preshared key, which the next handshake uses. */
  setPresharedKey(peer: Peer, key: Uint8Array | null): void {
    setPresharedKey(peer, key);
  }

  /** Sets a peer's endpoint to an address, and forgets its name. Its session continues. */
  setEndpoint(peer: Peer, endpoint: EndpointWords): void {
    peer.endpoint = endpoint.slice();
    peer.endpointName = null;
    peer.unanswered = 0;
  }

  /** Sets the name to look up if the peer does not respond at its endpoint; null for none. */
  setEndpointName(peer: Peer, name: string | null): void {
    if (peer.endpointName?.text !== name) peer.endpointName = name === null ? null : new EndpointName(name);
  }

  /**
   * The result of a name lookup. A peer that has responded meanwhile, or was given another endpoint, keeps its
   * endpoint. If it had none, the packets that waited for one are sent.
   */
  endpointFound(peer: Peer, endpoint: EndpointWords, now: Now): void {
    if (peer.endpointName === null || !endpointInDoubt(peer)) return;
    const before = peer.endpoint;
    if (before !== null && sameEndpoint(before, endpoint)) return;
    peer.endpoint = endpoint.slice();
    peer.unanswered = 0;
    if (before !== null) return;
    // Nothing has been sent yet.
    peer.lastHandshakeSentAt = LONG_AGO;
    this.peerConfigured(peer, now);
  }

  /** Sets the interval of persistent keepalives. If there were none before, the first is sent at once. */
  setPersistentKeepalive(peer: Peer, seconds: number, now: Now): void {
    const started = peer.persistentKeepalive === 0 && seconds > 0;
    peer.persistentKeepalive = seconds;
    if (started) this.sessions.timers.persistentKeepaliveStarted(peer, now.boot);
  }

  /** A peer was configured. Packets that waited, perhaps for an endpoint, are sent. */
  peerConfigured(peer: Peer, now: Now): void {
    if (this.sessions.up) this.sessions.sendStaged(peer, now);
  }

  /** Assigns a prefix to a peer. If another peer had it, that peer loses it. */
  insertAllowedIp(peer: Peer, prefix: Prefix): void {
    this.#allowedIps.insert(prefix, peer.number);
  }

  /** Removes a prefix from a peer, if the peer has exactly this prefix. */
  removeAllowedIp(peer: Peer, prefix: Prefix): void {
    this.#allowedIps.remove(prefix, peer.number);
  }

  /** Removes all prefixes from a peer. */
  clearAllowedIps(peer: Peer): void {
    this.#allowedIps.removeAll(peer.number);
  }

  /** A peer's prefixes, in the order in which they were assigned. */
  allowedIps(peer: Peer): Iterable<Prefix> {
    return this.#allowedIps.list(peer.number);
  }

  /** The interface came up: persistent keepalives start. */
  up(now: Now): void {
    if (this.sessions.up) return;
    this.sessions.up = this.sessions.timers.running = true;
    for (const peer of this.#peers.all) {
      if (peer.persistentKeepalive > 0) this.sessions.timers.persistentKeepaliveStarted(peer, now.boot);
    }
  }

  /** The interface went down: all handshakes and keypairs are erased, and waiting packets dropped. */
  down(): void {
    if (!this.sessions.up) return;
    this.sessions.up = this.sessions.timers.running = false;
    this.handshakes.era++;
    this.sessions.outputs.clear();
    for (const peer of this.#peers.all) {
      this.sessions.timers.stop(peer);
      this.sessions.purgeStaged(peer);
      this.sessions.eraseKeys(peer);
      peer.lastHandshakeSentAt = LONG_AGO;
    }
  }

  /** Takes the interface down and erases every secret. The device cannot be used afterwards. */
  close(now: Now): void {
    this.down();
    this.setPrivateKey(null, now);
    for (const peer of this.#peers.all) this.sessions.eraseSecrets(peer);
    this.#cookies.wipe();
  }

  /** Our port or mark has changed, so the routing table must select our source addresses again. */
  forgetSources(): void {
    for (const { endpoint } of this.#peers.all) if (endpoint !== null) clearSource(endpoint);
  }

  /**
   * The peer to which an inner packet is routed.
   *
   * @param bytes Memory that holds the packet.
   * @param at Where its IP header starts.
   * @param length Bytes of it.
   * @returns Null if it is not IP, or no peer has its destination in its allowed IPs.
   */
  lookup(bytes: Uint8Array, at: number, length: number): Peer | null {
    const version = length > 0 ? bytes[at]! >>> 4 : 0;
    if (version === 4 && length >= 20) return this.#peers.numbered(this.#allowedIps.lookup4(bytes, at + 16));
    if (version === 6 && length >= 40) return this.#peers.numbered(this.#allowedIps.lookup6(bytes, at + 24));
    return null;
  }

  /** Whether an opened packet's source address is routed to the peer that sent it (whitepaper §2). */
  sourceAllowed(peer: Peer, bytes: Uint8Array, at: number, length: number): boolean {
    const version = length > 0 ? bytes[at]! >>> 4 : 0;
    if (version === 4 && length >= 20) return this.#allowedIps.lookup4(bytes, at + 12) === peer.number;
    if (version === 6 && length >= 40) return this.#allowedIps.lookup6(bytes, at + 8) === peer.number;
    return false;
  }

  /** When to call {@linkcode handleTimeout}: milliseconds on `Now.boot`, possibly in the past; Infinity for never. */
  nextDeadline(): number {
    return Math.min(this.sessions.timers.nextDeadline, this.handshakes.limiter.nextDeadline);
  }

  /** Handles a limited number of the timers that are due. {@linkcode nextDeadline} shows whether there are more. */
  handleTimeout(now: Now): void {
    this.handshakes.limiter.sweep(now.boot);
    for (let i = 0; i < EXPIRIES_PER_CALL; i++) {
      const number = this.sessions.timers.pop(now.boot);
      if (number < 0) return;
      this.sessions.timers.expire(this.#peers.numbered(number)!, now);
    }
  }

  /** The next action, oldest first; null if there is none. */
  poll(): Output | null {
    return this.sessions.outputs.take();
  }

  #identityOf(privateKey: Uint8Array): Identity {
    const publicKey = new Uint8Array(KEY_LENGTH);
    this.crypto.publicKey(publicKey, privateKey);
    return { privateKey, publicKey };
  }
}

function clampedCopy(key: Uint8Array): Uint8Array {
  const privateKey = secretBytes(KEY_LENGTH);
  privateKey.set(key);
  clampKey(privateKey);
  return privateKey;
}
