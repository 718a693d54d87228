/**
 * A WireGuard device without any I/O: bytes, facts and the time go in; messages, deadlines and decisions come out.
 *
 * There are four kinds of methods. Configuration takes effect at once. *Questions* ({@linkcode Device.lookup},
 * {@linkcode Device.keypair}, {@linkcode Device.sourceAllowed}) are asked by the packet path, which seals and opens
 * data by itself. *Facts* (`handle…`, `dataSent`, `dataReceived`, …) tell what happened. Whatever is to be done as a
 * consequence waits in {@linkcode Device.poll}, to be drained after each call that is not a question; and
 * {@linkcode Device.nextDeadline} says when to call {@linkcode Device.handleTimeout}.
 *
 * @module
 */

import { clampKey, equalBytes, KEY_LENGTH, secretBytes } from "../config/key.ts";
import type { Prefix } from "../config/prefix.ts";
import { AllowedIps, type TrieMemory } from "./allowed_ips.ts";
import { LONG_AGO, type Milliseconds, type Now } from "./clock.ts";
import {
  HANDSHAKE_TOS,
  MAX_PEERS,
  REKEY_AFTER_TIME,
  REKEY_ON_RECEIVE_AFTER_TIME,
  REKEY_TIMEOUT,
} from "./constants.ts";
import { CookieChecker, CookieJar } from "./cookie.ts";
import type { Crypto, KeypairStore, Random } from "./crypto.ts";
import { Drop, Drops } from "./drops.ts";
import { clearSource, type EndpointWords, sameEndpoint } from "./endpoint.ts";
import { EndpointName, inDoubt } from "./endpoint_name.ts";
import { IndexTable } from "./index_table.ts";
import { Keypair } from "./keypair.ts";
import {
  CookieReply,
  Initiation,
  INITIATION_LENGTH,
  isHandshakeMessage,
  MESSAGE_COOKIE_REPLY,
  MESSAGE_INITIATION,
  MESSAGE_RESPONSE,
  messageType,
  readIndex,
  Response,
  RESPONSE_LENGTH,
  writeIndex,
} from "./messages.ts";
import { Handshake, type Identity, Noise, type Steps } from "./noise.ts";
import { Peer } from "./peer.ts";
import { RateLimiter } from "./rate_limiter.ts";
import { StagedPackets } from "./staged.ts";
import { Timers } from "./timers.ts";

/** Flag of {@linkcode Device.dataSent}: the counter has passed 2^60, the key should be replaced (whitepaper §6.2). */
export const REKEY_DUE = 1;
/** Flag of {@linkcode Device.dataSent}: the counter is spent, the key sends nothing more. */
export const COUNTER_SPENT = 2;
/** Flag of {@linkcode Device.dataSent}: the socket refused the datagrams. */
export const SEND_FAILED = 8;

/**
 * Expired peers served per {@linkcode Device.handleTimeout}. Each may cost an initiation (two X25519), and ten thousand
 * keepalives may fall due together: packets are served in between.
 */
const EXPIRIES_PER_CALL = 8;

/** Something to be done. */
export type Output =
  /** A message to send. Without a peer it is a cookie reply. */
  | {
    readonly kind: "handshake";
    readonly peer: Peer | null;
    readonly endpoint: EndpointWords;
    readonly bytes: Uint8Array;
    readonly tos: number;
  }
  /** A keepalive to seal and send to a peer that has a sending keypair. */
  | { readonly kind: "keepalive"; readonly peer: Peer }
  /**
   * {@linkcode Peer.takeStaged} to seal and send: the peer has a sending keypair. With `keepalive`, a keepalive is due if
   * none of them can be sealed.
   */
  | { readonly kind: "staged"; readonly peer: Peer; readonly keepalive: boolean }
  /** The peer's endpoint is in doubt: its name to look up, and {@linkcode Device.endpointFound} to be told. */
  | { readonly kind: "lookup"; readonly peer: Peer; readonly name: string };

/** What a device is made of. */
export interface DeviceOptions {
  /** Primitives. */
  crypto: Crypto;
  /** Where transport keys go. */
  keypairs: KeypairStore;
  /** Random bytes. */
  random: Random;
  /** Where the trie of allowed IPs lies; by default on the heap. */
  words?: TrieMemory;
  /** How many peers there may be; by default as many as in the kernel. */
  maxPeers?: number;
}

/** One interface's keys, peers and sessions. */
export class Device {
  /** What was dropped here, by reason. */
  readonly drops: Drops = new Drops();
  /** How many peers there may be. */
  readonly maxPeers: number;

  readonly #crypto: Crypto;
  readonly #store: KeypairStore;
  readonly #noise: Noise;
  readonly #cookies: CookieChecker;
  readonly #limiter = new RateLimiter();
  readonly #timers: Timers;
  readonly #indices: IndexTable<Handshake | Keypair>;
  readonly #allowedIps: AllowedIps;
  readonly #staged: StagedPackets<Peer>;

  #identity: Identity | null = null;
  #up = false;
  /** Changes with our private key and whenever the interface goes down: nothing that was begun before goes on. */
  #era = 0;
  /** By public key, in the order they were added. */
  readonly #peers = new Map<string, Peer>();
  /** By number, from 1; 0 is nobody, as in the trie of allowed IPs. */
  readonly #numbered: (Peer | null)[] = [null];
  readonly #freeNumbers: number[] = [];

  #outputs: Output[] = [];
  #polled = 0;

  constructor({ crypto, keypairs, random, words, maxPeers = MAX_PEERS }: DeviceOptions) {
    this.maxPeers = maxPeers;
    this.#crypto = crypto;
    this.#store = keypairs;
    this.#noise = new Noise(crypto, random, this.drops);
    this.#cookies = new CookieChecker(crypto, random);
    this.#indices = new IndexTable(random);
    this.#allowedIps = new AllowedIps(words);
    this.#staged = new StagedPackets(this.drops);
    this.#timers = new Timers({
      sendInitiation: (peer, isRetry, now) => this.#sendInitiation(peer, isRetry, now),
      sendKeepalive: (peer, now) => this.#sendKeepalive(peer, now),
      purgeStaged: (peer) => this.#purgeStaged(peer),
      eraseKeys: (peer) => this.#eraseKeys(peer),
    }, random);
  }

  // Configuration

  /** Our private key, clamped; null if there is none. */
  get privateKey(): Uint8Array | null {
    return this.#identity?.privateKey ?? null;
  }

  /** Our public key; null without a private key. */
  get publicKey(): Uint8Array | null {
    return this.#identity?.publicKey ?? null;
  }

  /**
   * Sets our private key. A peer that has the new public key is removed. All peers keep receiving on their keys but
   * must make new ones before they send.
   *
   * @param key Clamped here, in a copy; null for none.
   */
  setPrivateKey(key: Uint8Array | null, now: Now): void {
    const privateKey = key === null ? null : clampedCopy(key);
    const old = this.#identity;
    const same = old !== null && privateKey !== null && equalBytes(old.privateKey, privateKey);
    if (same) privateKey.fill(0);
    if (same || old === privateKey) return;
    const identity = privateKey === null ? null : this.#identityOf(privateKey);
    const self = identity && this.peer(identity.publicKey);
    if (self) this.removePeer(self);
    this.#identity = identity;
    this.#era++;
    old?.privateKey.fill(0);
    if (identity !== null) this.#cookies.setPublicKey(identity.publicKey);
    for (const peer of this.#peers.values()) {
      this.#eraseStaticStatic(peer);
      this.#clearHandshake(peer);
      peer.lastHandshakeSentAt = LONG_AGO;
      peer.keypairs.stopSending();
      // Keepalives that fell due while there was no key to make a handshake with.
      if (old === null && peer.persistentKeepalive > 0) {
        this.#timers.persistentKeepaliveStarted(peer, now.boot);
      }
    }
  }

  /** All peers in the order they were added. */
  get peers(): Iterable<Peer> {
    return this.#peers.values();
  }

  /** How many peers there are. */
  get peerCount(): number {
    return this.#peers.size;
  }

  /** The peer with a public key. */
  peer(publicKey: Uint8Array): Peer | undefined {
    return this.#peers.get(keyName(publicKey));
  }

  /** Adds a peer, or finds it. @returns Null for our own public key, and when there are {@linkcode maxPeers} already. */
  addPeer(publicKey: Uint8Array): Peer | null {
    const name = keyName(publicKey);
    const existing = this.#peers.get(name);
    if (existing !== undefined) return existing;
    if (this.#identity !== null && equalBytes(this.#identity.publicKey, publicKey)) return null;
    if (this.#peers.size >= this.maxPeers) return null;
    const number = this.#freeNumbers.pop() ?? this.#numbered.length;
    const peer = new Peer(number, publicKey.slice(), this.#staged);
    this.#numbered[number] = peer;
    this.#peers.set(name, peer);
    return peer;
  }

  /** Removes a peer with all that belongs to it. What it still has in {@linkcode poll} is taken back. */
  removePeer(peer: Peer): void {
    if (peer.removed) return;
    peer.removed = true;
    this.#peers.delete(keyName(peer.publicKey));
    this.#allowedIps.removeAll(peer.number);
    this.#timers.stop(peer);
    this.#purgeStaged(peer);
    this.#eraseSecrets(peer);
    this.#numbered[peer.number] = null;
    this.#freeNumbers.push(peer.number);
  }

  /** Sets a peer's preshared key, for the next handshake on. */
  setPresharedKey(peer: Peer, key: Uint8Array | null): void {
    peer.presharedKey?.fill(0);
    peer.presharedKey = null;
    if (key === null) return;
    peer.presharedKey = secretBytes(KEY_LENGTH);
    peer.presharedKey.set(key);
  }

  /** Sets where a peer is, by address alone: a name it had counts no more. Its session goes on. */
  setEndpoint(peer: Peer, endpoint: EndpointWords): void {
    peer.endpoint = endpoint.slice();
    peer.endpointName = null;
    peer.unanswered = 0;
  }

  /** Sets the name to look up when the peer is not heard at its endpoint; null for none. */
  setEndpointName(peer: Peer, name: string | null): void {
    if (peer.endpointName?.text !== name) peer.endpointName = name === null ? null : new EndpointName(name);
  }

  /** The name was looked up. A peer that was heard meanwhile, or was given another endpoint, stays where it is. */
  endpointFound(peer: Peer, endpoint: EndpointWords): void {
    if (peer.endpointName === null || !inDoubt(peer.unanswered)) return;
    if (peer.endpoint !== null && sameEndpoint(peer.endpoint, endpoint)) return;
    peer.endpoint = endpoint.slice();
    peer.unanswered = 0;
  }

  /** Sets a peer's interval of unasked keepalives; when this switches them on, the first is sent at once. */
  setPersistentKeepalive(peer: Peer, seconds: number, now: Now): void {
    const started = peer.persistentKeepalive === 0 && seconds > 0;
    peer.persistentKeepalive = seconds;
    if (started) this.#timers.persistentKeepaliveStarted(peer, now.boot);
  }

  /** After a peer was configured: what waited, perhaps for an endpoint, may go out now. */
  peerConfigured(peer: Peer, now: Now): void {
    if (this.#up) this.#sendStaged(peer, now);
  }

  /** Gives a prefix to a peer, whoever had it. */
  insertAllowedIp(peer: Peer, prefix: Prefix): void {
    this.#allowedIps.insert(prefix, peer.number);
  }

  /** Takes a prefix from a peer, if exactly this prefix is the peer's. */
  removeAllowedIp(peer: Peer, prefix: Prefix): void {
    this.#allowedIps.remove(prefix, peer.number);
  }

  /** Takes all prefixes from a peer. */
  clearAllowedIps(peer: Peer): void {
    this.#allowedIps.removeAll(peer.number);
  }

  /** A peer's prefixes in the order they were given to it. */
  allowedIps(peer: Peer): Iterable<Prefix> {
    return this.#allowedIps.list(peer.number);
  }

  /** The interface came up: persistent keepalives start. */
  up(now: Now): void {
    if (this.#up) return;
    this.#up = this.#timers.running = true;
    for (const peer of this.#peers.values()) {
      if (peer.persistentKeepalive > 0) this.#timers.persistentKeepaliveStarted(peer, now.boot);
    }
  }

  /** The interface went down: nothing is sent, nothing waits, no key survives. */
  down(): void {
    if (!this.#up) return;
    this.#up = this.#timers.running = false;
    this.#era++;
    this.#outputs = [];
    this.#polled = 0;
    for (const peer of this.#peers.values()) {
      this.#timers.stop(peer);
      this.#purgeStaged(peer);
      this.#eraseKeys(peer);
      peer.lastHandshakeSentAt = LONG_AGO;
    }
  }

  /** Takes the interface down and erases every secret. Nothing can be done with the device afterwards. */
  close(now: Now): void {
    this.down();
    this.setPrivateKey(null, now);
    for (const peer of this.#peers.values()) this.#eraseSecrets(peer);
    this.#cookies.wipe();
  }

  /** Our port or mark changed: which of our addresses to send from is the routing table's choice again. */
  forgetSources(): void {
    for (const { endpoint } of this.#peers.values()) if (endpoint !== null) clearSource(endpoint);
  }

  // Packets out

  /**
   * The peer that an inner packet goes to.
   *
   * @param bytes Memory that holds the packet.
   * @param at Where its IP header starts.
   * @param length Bytes of it.
   * @returns Null if it is not IP, or nobody's.
   */
  lookup(bytes: Uint8Array, at: number, length: number): Peer | null {
    const version = length > 0 ? bytes[at]! >>> 4 : 0;
    if (version === 4 && length >= 20) return this.#numbered[this.#allowedIps.lookup4(bytes, at + 16)]!;
    if (version === 6 && length >= 40) return this.#numbered[this.#allowedIps.lookup6(bytes, at + 24)]!;
    return null;
  }

  /** Bytes that wait for keys, of all peers. */
  get stagedBytes(): number {
    return this.#staged.bytes;
  }

  /** Sources whose handshake messages are limited at the moment. */
  get limitedSources(): number {
    return this.#limiter.size;
  }

  /** The keypair to seal with, or null: then the packet is to be staged, and a handshake is on its way if it can be. */
  sendingKeypair(peer: Peer, now: Now): Keypair | null {
    const { current } = peer.keypairs;
    if (current !== null && current.sendable) {
      if (!current.expired(now.boot)) return current;
      current.sendable = false;
    }
    this.#sendInitiation(peer, false, now);
    return null;
  }

  /**
   * Keeps a packet until there is a key. The oldest give way to it.
   *
   * @param packets How many packets it becomes, if it is a super-packet.
   */
  stage(peer: Peer, bytes: Uint8Array, packets = 1): void {
    if (peer.removed || !this.#up) this.drops.count(Drop.StagedPurged, packets);
    else this.#staged.add(peer, bytes, packets);
  }

  /**
   * Packets with content were sealed and sent.
   *
   * @param segments How many; 0 if nothing could be sealed.
   * @param wireBytes Their UDP payloads, headers and tags included.
   * @param flags {@linkcode REKEY_DUE}, {@linkcode COUNTER_SPENT}, {@linkcode SEND_FAILED}.
   */
  dataSent(peer: Peer, keypair: Keypair, segments: number, wireBytes: number, flags: number, now: Now): void {
    if (segments > 0) {
      this.#anythingSent(peer, wireBytes, flags, now);
      if ((flags & SEND_FAILED) === 0) this.#timers.dataSent(peer, now.boot);
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
    this.#timers.anyAuthenticatedPacketTraversal(peer, now.boot);
    this.#timers.anyAuthenticatedPacketSent(peer);
    if ((flags & SEND_FAILED) === 0) peer.txBytes += wireBytes;
  }

  #keepKeyFreshAfterSending(peer: Peer, keypair: Keypair, flags: number, now: Now): void {
    if (flags & COUNTER_SPENT) keypair.sendable = false;
    const old = keypair.initiator && now.boot - keypair.born >= REKEY_AFTER_TIME;
    if (old || flags & (REKEY_DUE | COUNTER_SPENT)) this.#sendInitiation(peer, false, now);
  }

  // Packets in

  /**
   * A datagram arrived that is no data. Checks what costs little, so that a stranger cannot fill a queue with messages that
   * would be dropped later, and takes in cookie replies, which cost less than the check of mac1.
   *
   * @returns Whether it is an initiation or a response that is worth {@linkcode handshakeSteps}.
   */
  handshakeArrived(datagram: Uint8Array, now: Now): boolean {
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
    if (this.#identity === null || !this.#up) return Drop.NotReady;
    switch (messageType(datagram)) {
      case MESSAGE_COOKIE_REPLY:
        return null;
      case MESSAGE_RESPONSE: {
        const index = readIndex(datagram, Response.receiver);
        if (!(this.#indices.get(index) instanceof Handshake)) return Drop.UnknownIndex;
      }
    }
    return this.#cookies.mac1IsValid(datagram) ? null : Drop.BadMac1;
  }

  /**
   * Takes in an initiation or a response in steps, so that packets need not wait for all of it. Between them anything may
   * happen to the device; a message whose peer or key is gone by then is dropped.
   *
   * @param message One that {@linkcode handshakeArrived} found worth it. Not in memory that the keypair store may grow.
   * @param from Who sent it, and to which of our addresses.
   * @param underLoad Whether senders have to prove their address first.
   * @param now Asked again in each step.
   */
  *handshakeSteps(message: Uint8Array, from: EndpointWords, underLoad: boolean, now: Now): Steps<void> {
    const identity = this.#identity;
    if (identity === null || !this.#up) {
      this.drops.count(Drop.NotReady);
      return;
    }
    if (underLoad && !this.#admit(message, from, now.boot)) return;

    const peer = yield* messageType(message) === MESSAGE_INITIATION
      ? this.#handleInitiation(message, identity, from, now)
      : this.#handleResponse(message, identity, from, now);
    if (peer === null) return;
    peer.rxBytes += message.length;
    this.#timers.anyAuthenticatedPacketReceived(peer);
    this.#timers.anyAuthenticatedPacketTraversal(peer, now.boot);
  }

  /**
   * Goes on with a message for as long as our key stays, the interface is up and `holds` is true.
   *
   * @returns Null, after counting it, once that is over.
   */
  *#whileValid<Result>(steps: Steps<Result>, holds = () => true): Steps<Result | null> {
    const era = this.#era;
    try {
      for (;;) {
        const { done, value } = steps.next();
        if (done) return value;
        yield;
        if (this.#era !== era || !holds()) return this.drops.count(Drop.NotReady);
      }
    } finally {
      // Its own `finally` zeroes its secrets.
      steps.return(undefined as never);
    }
  }

  /** Under load: lets those pass who have our cookie, at a limited rate, and gives one to those who have not. */
  #admit(datagram: Uint8Array, from: EndpointWords, now: Milliseconds): boolean {
    if (!this.#cookies.mac2IsValid(datagram, from, now)) {
      this.drops.count(Drop.NeedsCookie);
      const bytes = this.#cookies.createReply(datagram, from, now);
      this.#outputs.push({ kind: "handshake", peer: null, endpoint: from.slice(), bytes, tos: 0 });
      return false;
    }
    if (!this.#limiter.allow(from, now)) {
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
    const find = (key: Uint8Array) => this.peer(key) ?? null;
    const handshake = yield* this.#whileValid(
      this.#noise.consumeInitiation(message, identity, find, now),
    );
    if (handshake === null) return null;
    const { peer } = handshake;
    const endpoint = this.#roam(peer, from);
    peer.lastHandshakeSentAt = now.boot;
    const response = new Uint8Array(RESPONSE_LENGTH);
    try {
      const created = yield* this.#whileValid(
        this.#noise.createResponse(response, handshake),
        () => !peer.removed,
      );
      if (created === null) return null;
      if (created) this.#sendResponse(handshake, response, endpoint, now);
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
    const handshake = this.#indices.get(index);
    if (!(handshake instanceof Handshake)) return this.drops.count(Drop.UnknownIndex);
    // An initiation that takes its place has another index.
    const genuine = yield* this.#whileValid(
      this.#noise.consumeResponse(message, handshake, identity),
      () => this.#indices.get(index) === handshake,
    );
    if (!genuine) return null;
    const { peer } = handshake;
    this.#roam(peer, from);
    peer.handshake = null;
    this.#beginSession(handshake, now);
    this.#timers.handshakeComplete(peer, now);
    // Data or, without any, a keepalive: either tells the responder that we have the key.
    this.#sendKeepalive(peer, now);
    return peer;
  }

  /** Moves neither timers nor the endpoint and is not answered: what it carries is for our next message. */
  #handleCookieReply(message: Uint8Array, now: Milliseconds): void {
    const entry = this.#indices.get(readIndex(message, CookieReply.receiver));
    if (entry === undefined) {
      this.drops.count(Drop.UnknownIndex);
      return;
    }
    const jar = entry.peer.cookieJar;
    if (jar === null || !jar.awaitsReply) this.drops.count(Drop.UnexpectedCookie);
    else if (!jar.consumeReply(message, now)) this.drops.count(Drop.BadCookie);
  }

  /** The keypair that data for an index is opened with; null if there is none that is young enough. */
  keypair(index: number, now: Now): Keypair | null {
    const entry = this.#indices.get(index);
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
    this.#roam(peer, from);
    if (peer.keypairs.confirm(keypair, this.#dropKeypair)) {
      this.#timers.handshakeComplete(peer, now);
      // Should we have an initiation of our own out there, it is no longer needed.
      this.#clearHandshake(peer);
      this.#sendStaged(peer, now);
    }
    this.#keepKeyFreshAfterReceiving(peer, now);
    this.#timers.anyAuthenticatedPacketReceived(peer);
    this.#timers.anyAuthenticatedPacketTraversal(peer, now.boot);
    peer.rxBytes += wireBytes;
    this.#timers.dataReceived(peer, authenticated - keepalives, now.boot);
  }

  #keepKeyFreshAfterReceiving(peer: Peer, now: Now): void {
    const { current } = peer.keypairs;
    if (peer.sentLastMinuteHandshake || current === null || !current.sendable || !current.initiator) return;
    if (now.boot - current.born < REKEY_ON_RECEIVE_AFTER_TIME) return;
    peer.sentLastMinuteHandshake = true;
    this.#sendInitiation(peer, false, now);
  }

  /** Whether an opened packet may come from this peer: its source is routed to the very same (whitepaper §2). */
  sourceAllowed(peer: Peer, bytes: Uint8Array, at: number, length: number): boolean {
    const version = length > 0 ? bytes[at]! >>> 4 : 0;
    if (version === 4 && length >= 20) return this.#allowedIps.lookup4(bytes, at + 12) === peer.number;
    if (version === 6 && length >= 40) return this.#allowedIps.lookup6(bytes, at + 8) === peer.number;
    return false;
  }

  // Time and outputs

  /** When to call {@linkcode handleTimeout}: milliseconds on `Now.boot`; in the past if it is due, or Infinity. */
  nextDeadline(): number {
    return Math.min(this.#timers.nextDeadline, this.#limiter.nextDeadline);
  }

  /** Runs what is due, a bounded part of it: {@linkcode nextDeadline} tells whether there is more. */
  handleTimeout(now: Now): void {
    this.#limiter.sweep(now.boot);
    for (let i = 0; i < EXPIRIES_PER_CALL; i++) {
      const number = this.#timers.pop(now.boot);
      if (number < 0) return;
      this.#timers.expire(this.#numbered[number]!, now);
    }
  }

  /** The next thing to be done, in the order in which it came up; null when all is done. */
  poll(): Output | null {
    while (this.#polled < this.#outputs.length) {
      const output = this.#outputs[this.#polled++]!;
      if (output.peer === null || !output.peer.removed) return output;
    }
    if (this.#polled > 0) {
      this.#outputs = [];
      this.#polled = 0;
    }
    return null;
  }

  #sendInitiation(peer: Peer, isRetry: boolean, now: Now): void {
    if (!isRetry) peer.handshakeAttempts = 0;
    const identity = this.#identity, { endpoint } = peer;
    // Without an endpoint the kernel makes an initiation and fails to send it; for us it would only cost time.
    if (identity === null || endpoint === null || !this.#up || peer.removed) return;
    if (now.boot - peer.lastHandshakeSentAt < REKEY_TIMEOUT) return;
    peer.lastHandshakeSentAt = now.boot;

    const handshake = peer.handshake ??= new Handshake(peer, true);
    const message = new Uint8Array(INITIATION_LENGTH);
    if (!this.#noise.createInitiation(message, handshake, identity, now)) {
      this.drops.count(Drop.LowOrder);
      this.#clearHandshake(peer);
      return;
    }
    this.#giveIndex(handshake, message, Initiation.sender);
    this.#sendHandshakeMessage(peer, endpoint, message, now);
    const { endpointName } = peer;
    if (endpointName?.initiating(peer.unanswered, now.boot)) {
      this.#outputs.push({ kind: "lookup", peer, name: endpointName.text });
    }
    this.#timers.handshakeInitiated(peer, now.boot);
  }

  #sendResponse(handshake: Handshake, message: Uint8Array, endpoint: EndpointWords, now: Now): void {
    this.#giveIndex(handshake, message, Response.sender);
    this.#beginSession(handshake, now);
    this.#sendHandshakeMessage(handshake.peer, endpoint, message, now);
  }

  /** Gives a handshake a fresh index in place of the one it had, and writes it into its message. */
  #giveIndex(handshake: Handshake, message: Uint8Array, at: number): void {
    this.#indices.remove(handshake.localIndex, handshake);
    handshake.localIndex = this.#indices.add(handshake);
    writeIndex(message, at, handshake.localIndex);
  }

  #sendHandshakeMessage(peer: Peer, endpoint: EndpointWords, bytes: Uint8Array, now: Now): void {
    peer.cookieJar ??= new CookieJar(this.#crypto, peer.publicKey);
    peer.cookieJar.addMacs(bytes, now.boot);
    this.#timers.anyAuthenticatedPacketTraversal(peer, now.boot);
    this.#timers.anyAuthenticatedPacketSent(peer);
    peer.txBytes += bytes.length;
    this.#outputs.push({ kind: "handshake", peer, endpoint, bytes, tos: HANDSHAKE_TOS });
  }

  /** Turns a finished handshake into a keypair, which takes over its index. */
  #beginSession(handshake: Handshake, now: Now): void {
    const { peer, localIndex, remoteIndex, initiator } = handshake;
    const keypair = this.#noise.deriveKeys(handshake, (sendKey, receiveKey) => {
      const slot = this.#store.install(sendKey, receiveKey, remoteIndex);
      return new Keypair(peer, slot, localIndex, initiator, now.boot);
    });
    this.#indices.replace(localIndex, keypair);
    peer.keypairs.install(keypair, this.#dropKeypair);
    this.#timers.sessionDerived(peer, now.boot);
  }

  /** Sends what is staged, or a keepalive if nothing is. */
  #sendKeepalive(peer: Peer, now: Now): void {
    peer.keepaliveStaged = true;
    this.#sendStaged(peer, now);
  }

  #sendStaged(peer: Peer, now: Now): void {
    const keepalive = peer.keepaliveStaged, waiting = peer.stagedCount > 0;
    if (!waiting && !keepalive) return;
    if (this.sendingKeypair(peer, now) === null) return;
    peer.keepaliveStaged = false;
    this.#outputs.push(waiting ? { kind: "staged", peer, keepalive } : { kind: "keepalive", peer });
  }

  /** Takes over the address that an authenticated message came from (whitepaper §2.1). */
  #roam(peer: Peer, from: EndpointWords): EndpointWords {
    if (peer.endpoint === null || !sameEndpoint(peer.endpoint, from)) peer.endpoint = from.slice();
    return peer.endpoint;
  }

  #purgeStaged(peer: Peer): void {
    peer.keepaliveStaged = false;
    this.#staged.purge(peer);
  }

  #eraseKeys(peer: Peer): void {
    this.#clearHandshake(peer);
    peer.keypairs.clear(this.#dropKeypair);
  }

  #eraseStaticStatic(peer: Peer): void {
    peer.staticStatic?.fill(0);
    peer.staticStatic = undefined;
  }

  /** Erases all that is secret about a peer, its configuration included. */
  #eraseSecrets(peer: Peer): void {
    this.#eraseKeys(peer);
    this.#eraseStaticStatic(peer);
    this.setPresharedKey(peer, null);
    peer.cookieJar?.wipe();
  }

  #clearHandshake(peer: Peer): void {
    const { handshake } = peer;
    if (handshake === null) return;
    this.#indices.remove(handshake.localIndex, handshake);
    handshake.wipe();
    peer.handshake = null;
  }

  readonly #dropKeypair = (keypair: Keypair): void => {
    keypair.sendable = false;
    this.#indices.remove(keypair.localIndex, keypair);
    this.#store.forget(keypair.slot);
  };

  #identityOf(privateKey: Uint8Array): Identity {
    const publicKey = new Uint8Array(KEY_LENGTH);
    this.#crypto.publicKey(publicKey, privateKey);
    return { privateKey, publicKey };
  }
}

function clampedCopy(key: Uint8Array): Uint8Array {
  const privateKey = secretBytes(KEY_LENGTH);
  privateKey.set(key);
  clampKey(privateKey);
  return privateKey;
}

/** A public key as a map's key. */
function keyName(publicKey: Uint8Array): string {
  // Not spread: that goes through an iterator, four times as slow.
  return String.fromCharCode.apply(null, publicKey as unknown as number[]);
}
