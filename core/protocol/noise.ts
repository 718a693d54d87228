/**
 * The handshake: Noise_IKpsk2 in both roles (whitepaper §5.4.2, §5.4.3).
 *
 * ```
 * <- s
 * ...
 * -> e, es, s, ss, {t}
 * <- e, ee, se, psk, {}
 * ```
 *
 * A message is handled in scratch memory. The results are copied to the peer only if the whole message is authentic, so
 * a forged message changes nothing. Scratch memory is zeroed before every return. All of this is done in
 * {@linkcode Steps}.
 *
 * @module
 */

import type { Now } from "./clock.ts";
import { INITIATIONS_PER_SECOND } from "./constants.ts";
import { clampKey, KEY_LENGTH, secretBytes } from "../config/key.ts";
import type { Crypto, Random } from "./crypto.ts";
import { Drop, type Drops } from "./drops.ts";
import {
  field,
  Initiation,
  MESSAGE_INITIATION,
  MESSAGE_RESPONSE,
  readIndex,
  Response,
  TIMESTAMP_LENGTH,
  writeIndex,
} from "./messages.ts";
import { Multiplication, type Steps } from "./multiplication.ts";
import type { Peer } from "./peer.ts";
import { isLater, TIMESTAMP_GRAIN, writeTimestamp } from "./tai64n.ts";

const CONSTRUCTION = new TextEncoder().encode("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s");
const IDENTIFIER = new TextEncoder().encode("WireGuard v1 zx2c4 Jason@zx2c4.com");
const NO_PRESHARED_KEY = new Uint8Array(KEY_LENGTH);
const NOTHING = new Uint8Array(0);

/** Our own static keys. */
export interface Identity {
  /** Clamped. */
  readonly privateKey: Uint8Array;
  /** Its public key. */
  readonly publicKey: Uint8Array;
}

/**
 * A handshake between its two messages. For the initiator it lasts until the response arrives, for the responder until
 * the response is made. In the kernel both share one place, so two sides that initiate at the same time overwrite their
 * own initiations and wait for a timer. Here they do not share it.
 */
export class Handshake {
  /** Our index in the device's table; -1 while there is none. */
  localIndex = -1;
  /** The peer's index. */
  remoteIndex = 0;
  readonly #block = secretBytes(4 * KEY_LENGTH);
  /** H in the paper. */
  readonly hash: Uint8Array = this.#block.subarray(0, 32);
  /** C in the paper. */
  readonly chainingKey: Uint8Array = this.#block.subarray(32, 64);
  /** Our ephemeral private key. */
  readonly ephemeral: Uint8Array = this.#block.subarray(64, 96);
  /** The initiator's ephemeral public key, if we are the responder. */
  readonly remoteEphemeral: Uint8Array = this.#block.subarray(96, 128);

  constructor(readonly peer: Peer, readonly initiator: boolean) {}

  /** Zeroes the secrets. They are in one block outside of the JavaScript heap. */
  wipe(): void {
    this.#block.fill(0);
  }
}

/** Scratch memory of one message. Each message has its own, because other messages may arrive between its steps. */
class Scratch {
  readonly #block = secretBytes(7 * KEY_LENGTH);
  readonly hash: Uint8Array = this.#block.subarray(0, 32);
  readonly chainingKey: Uint8Array = this.#block.subarray(32, 64);
  readonly key: Uint8Array = this.#block.subarray(64, 96);
  /** A shared secret or tau. */
  readonly secret: Uint8Array = this.#block.subarray(96, 128);
  readonly static: Uint8Array = this.#block.subarray(128, 160);
  readonly timestamp: Uint8Array = this.#block.subarray(160, 160 + TIMESTAMP_LENGTH);
  readonly secondSecret: Uint8Array = this.#block.subarray(192, 224);

  wipe(): void {
    this.#block.fill(0);
  }
}

/** Creates and consumes handshake messages, except for MACs, indices and what follows from a message. */
export class Noise {
  readonly #crypto: Crypto;
  readonly #random: Random;
  readonly #drops: Drops;
  readonly #initialChainingKey = new Uint8Array(KEY_LENGTH);
  readonly #initialHash = new Uint8Array(KEY_LENGTH);

  constructor(crypto: Crypto, random: Random, drops: Drops) {
    this.#crypto = crypto;
    this.#random = random;
    this.#drops = drops;
    crypto.hash(this.#initialChainingKey, CONSTRUCTION);
    crypto.hash(this.#initialHash, this.#initialChainingKey, IDENTIFIER);
  }

  /**
   * Makes an initiation.
   *
   * @param message 148 bytes. Everything except the sender's index, mac1 and mac2 is written.
   * @param handshake Overwritten.
   * @returns False if the peer's public key is of low order. Such a peer never gets a handshake.
   */
  *createInitiation(
    message: Uint8Array,
    handshake: Handshake,
    identity: Identity,
    now: Now,
  ): Steps<boolean> {
    const crypto = this.#crypto;
    const scratch = new Scratch();
    const { key, secret, secondSecret, timestamp } = scratch;
    const { peer, hash, chainingKey, ephemeral } = handshake;
    try {
      writeIndex(message, 0, MESSAGE_INITIATION);
      this.#random(ephemeral);
      clampKey(ephemeral);
      const publicEphemeral = field(message, Initiation.ephemeral);
      const e = new Multiplication(publicEphemeral, ephemeral, null);
      const es = new Multiplication(secret, ephemeral, peer.publicKey);
      const ss = new Multiplication(secondSecret, identity.privateKey, peer.publicKey);
      yield peer.staticStatic === undefined ? [e, es, ss] : [e, es];
      if (ss.done && peer.staticStatic === undefined) {
        peer.staticStatic = ss.usable ? secretCopy(secondSecret) : null;
      }
      if (!es.usable || !peer.staticStatic) return false;

      this.#begin(hash, chainingKey, peer.publicKey);
      // e
      crypto.kdf(chainingKey, publicEphemeral, chainingKey);
      crypto.hash(hash, hash, publicEphemeral);
      // es
      crypto.kdf(chainingKey, secret, chainingKey, key);
      // s
      const sealedStatic = field(message, Initiation.static);
      crypto.seal(sealedStatic, key, hash, identity.publicKey);
      crypto.hash(hash, hash, sealedStatic);
      // ss
      crypto.kdf(chainingKey, peer.staticStatic, chainingKey, key);
      // {t}
      const sealedTimestamp = field(message, Initiation.timestamp);
      peer.lastTimestampSent = timestampTime(peer.lastTimestampSent, now.wall);
      writeTimestamp(timestamp, peer.lastTimestampSent);
      crypto.seal(sealedTimestamp, key, hash, timestamp);
      crypto.hash(hash, hash, sealedTimestamp);

      return true;
    } finally {
      scratch.wipe();
    }
  }

  /**
   * Consumes an initiation whose mac1 is correct.
   *
   * @param find Finds a peer by its public key.
   * @returns A handshake ready for the response, or null if the message was dropped. The drop is then counted.
   */
  *consumeInitiation(
    message: Uint8Array,
    identity: Identity,
    find: (publicKey: Uint8Array) => Peer | null,
    now: Now,
  ): Steps<Handshake | null> {
    const crypto = this.#crypto;
    const scratch = new Scratch();
    const { hash, chainingKey, key, secret, timestamp } = scratch;
    try {
      this.#begin(hash, chainingKey, identity.publicKey);
      // e
      const ephemeral = field(message, Initiation.ephemeral);
      crypto.kdf(chainingKey, ephemeral, chainingKey);
      crypto.hash(hash, hash, ephemeral);
      // es
      const es = new Multiplication(secret, identity.privateKey, ephemeral);
      yield [es];
      if (!es.usable) return this.#drops.count(Drop.LowOrder);
      crypto.kdf(chainingKey, secret, chainingKey, key);
      // s
      const sealedStatic = field(message, Initiation.static);
      if (!crypto.open(scratch.static, key, hash, sealedStatic)) return this.#drops.count(Drop.BadStatic);
      crypto.hash(hash, hash, sealedStatic);
      const peer = find(scratch.static);
      if (peer === null) return this.#drops.count(Drop.UnknownPeer);
      // ss
      if (peer.staticStatic === undefined) {
        const ss = new Multiplication(secret, identity.privateKey, peer.publicKey);
        yield [ss];
        if (peer.removed) return this.#drops.count(Drop.NotReady);
        peer.staticStatic = ss.usable ? secretCopy(secret) : null;
      }
      if (peer.staticStatic === null) return this.#drops.count(Drop.LowOrder);
      crypto.kdf(chainingKey, peer.staticStatic, chainingKey, key);
      // {t}
      const sealedTimestamp = field(message, Initiation.timestamp);
      if (!crypto.open(timestamp, key, hash, sealedTimestamp)) {
        return this.#drops.count(Drop.BadTimestamp);
      }
      crypto.hash(hash, hash, sealedTimestamp);

      if (peer.latestTimestamp !== null && !isLater(timestamp, peer.latestTimestamp)) {
        return this.#drops.count(Drop.ReplayedInitiation);
      }
      if (now.boot - peer.lastInitiationConsumedAt < 1_000 / INITIATIONS_PER_SECOND) {
        return this.#drops.count(Drop.FloodedInitiation);
      }

      peer.latestTimestamp = timestamp.slice();
      peer.lastInitiationConsumedAt = now.boot;
      const handshake = new Handshake(peer, false);
      handshake.hash.set(hash);
      handshake.chainingKey.set(chainingKey);
      handshake.remoteEphemeral.set(ephemeral);
      handshake.remoteIndex = readIndex(message, Initiation.sender);
      return handshake;
    } finally {
      scratch.wipe();
    }
  }

  /**
   * Makes the response to an initiation that was consumed.
   *
   * @param message 92 bytes. Everything except the sender's index, mac1 and mac2 is written.
   * @returns False if the initiator's ephemeral key was of low order.
   */
  *createResponse(message: Uint8Array, handshake: Handshake): Steps<boolean> {
    const crypto = this.#crypto;
    const scratch = new Scratch();
    const { key, secret, secondSecret } = scratch;
    const { peer, hash, chainingKey, ephemeral, remoteEphemeral } = handshake;
    try {
      writeIndex(message, 0, MESSAGE_RESPONSE);
      writeIndex(message, Response.receiver, handshake.remoteIndex);
      this.#random(ephemeral);
      clampKey(ephemeral);
      const publicEphemeral = field(message, Response.ephemeral);
      const e = new Multiplication(publicEphemeral, ephemeral, null);
      const ee = new Multiplication(secret, ephemeral, remoteEphemeral);
      const se = new Multiplication(secondSecret, ephemeral, peer.publicKey);
      yield [e, ee, se];
      if (!ee.usable || !se.usable) return false;
      // e
      crypto.kdf(chainingKey, publicEphemeral, chainingKey);
      crypto.hash(hash, hash, publicEphemeral);
      // ee
      crypto.kdf(chainingKey, secret, chainingKey);
      // se
      crypto.kdf(chainingKey, secondSecret, chainingKey);
      // psk
      crypto.kdf(chainingKey, peer.presharedKey ?? NO_PRESHARED_KEY, chainingKey, secret, key);
      crypto.hash(hash, hash, secret);
      // {}
      const sealedNothing = field(message, Response.nothing);
      crypto.seal(sealedNothing, key, hash, NOTHING);
      crypto.hash(hash, hash, sealedNothing);

      return true;
    } finally {
      scratch.wipe();
    }
  }

  /**
   * Consumes a response whose mac1 is correct. If it is not authentic, `handshake` does not change, so that the real
   * response is still accepted after a forged one.
   *
   * @returns Whether it is authentic. If not, the drop is counted.
   */
  *consumeResponse(message: Uint8Array, handshake: Handshake, identity: Identity): Steps<boolean> {
    const crypto = this.#crypto;
    const scratch = new Scratch();
    const { hash, chainingKey, key, secret, secondSecret } = scratch;
    const { peer } = handshake;
    try {
      const ephemeral = field(message, Response.ephemeral);
      const ee = new Multiplication(secret, handshake.ephemeral, ephemeral);
      const se = new Multiplication(secondSecret, identity.privateKey, ephemeral);
      yield [ee, se];
      if (!ee.usable || !se.usable) {
        this.#drops.count(Drop.LowOrder);
        return false;
      }
      hash.set(handshake.hash);
      chainingKey.set(handshake.chainingKey);
      // e
      crypto.kdf(chainingKey, ephemeral, chainingKey);
      crypto.hash(hash, hash, ephemeral);
      // ee
      crypto.kdf(chainingKey, secret, chainingKey);
      // se
      crypto.kdf(chainingKey, secondSecret, chainingKey);
      // psk
      crypto.kdf(chainingKey, peer.presharedKey ?? NO_PRESHARED_KEY, chainingKey, secret, key);
      crypto.hash(hash, hash, secret);
      // {}
      const sealedNothing = field(message, Response.nothing);
      if (!crypto.open(NOTHING, key, hash, sealedNothing)) {
        this.#drops.count(Drop.BadResponse);
        return false;
      }
      crypto.hash(hash, hash, sealedNothing);

      handshake.hash.set(hash);
      handshake.chainingKey.set(chainingKey);
      handshake.remoteIndex = readIndex(message, Response.sender);
      return true;
    } finally {
      scratch.wipe();
    }
  }

  /**
   * Derives the transport keys of a finished handshake (whitepaper §5.4.5) and zeroes the handshake.
   *
   * @param use Called with both keys. They are zeroed when it returns.
   */
  deriveKeys<Result>(
    handshake: Handshake,
    use: (sendKey: Uint8Array, receiveKey: Uint8Array) => Result,
  ): Result {
    const scratch = new Scratch();
    const { key, secret } = scratch;
    try {
      this.#crypto.kdf(handshake.chainingKey, NOTHING, key, secret);
      return handshake.initiator ? use(key, secret) : use(secret, key);
    } finally {
      scratch.wipe();
      handshake.wipe();
    }
  }

  #begin(hash: Uint8Array, chainingKey: Uint8Array, responder: Uint8Array): void {
    chainingKey.set(this.#initialChainingKey);
    this.#crypto.hash(hash, this.#initialHash, responder);
  }
}

function secretCopy(secret: Uint8Array): Uint8Array {
  const copy = secretBytes(secret.length);
  copy.set(secret);
  return copy;
}

/**
 * The time to put into an initiation: the clock's time, or a grain after the last one if that is later. The responder
 * accepts only times later than the newest that it has seen. If the clock is set back, it would otherwise refuse all
 * initiations until the clock has caught up.
 */
function timestampTime(last: bigint, wall: bigint): bigint {
  return wall > last + TIMESTAMP_GRAIN ? wall : last + TIMESTAMP_GRAIN;
}
