/**
 * The protocol's cryptography with noble: an implementation that shares no code with ours, so that agreement of both in
 * a handshake is no accident.
 *
 * @module
 */

import { chacha20poly1305, xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { x25519 } from "@noble/curves/ed25519.js";
import { blake2s } from "@noble/hashes/blake2.js";
import { hmac } from "@noble/hashes/hmac.js";
import { concatBytes } from "@noble/hashes/utils.js";
import type { Crypto, KeypairStore } from "../core/protocol/crypto.ts";

const NONCE_ZERO = new Uint8Array(12);

/** The primitives on noble. */
export const nobleCrypto: Crypto = {
  dh(out, privateKey, publicKey) {
    try {
      out.set(x25519.getSharedSecret(privateKey, publicKey));
      return true;
    } catch {
      // noble throws for an all-zero result.
      out.fill(0);
      return false;
    }
  },
  publicKey(out, privateKey) {
    out.set(x25519.getPublicKey(privateKey));
  },
  hash(out, a, b = new Uint8Array(0)) {
    out.set(blake2s(concatBytes(a, b)));
  },
  mac(out, key, data) {
    out.set(blake2s(data, { key, dkLen: 16 }));
  },
  kdf(chainingKey, input, t1, t2, t3) {
    const extracted = hmac(blake2s, chainingKey, input);
    const first = hmac(blake2s, extracted, Uint8Array.of(1));
    t1.set(first);
    if (t2 === undefined) return;
    const second = hmac(blake2s, extracted, concatBytes(first, Uint8Array.of(2)));
    t2.set(second);
    if (t3 === undefined) return;
    t3.set(hmac(blake2s, extracted, concatBytes(second, Uint8Array.of(3))));
  },
  seal(out, key, aad, plaintext) {
    out.set(chacha20poly1305(key, NONCE_ZERO, aad).encrypt(plaintext));
  },
  open(out, key, aad, ciphertext) {
    try {
      out.set(chacha20poly1305(key, NONCE_ZERO, aad).decrypt(ciphertext));
      return true;
    } catch {
      return false;
    }
  },
  sealCookie(out, key, nonce, aad, plaintext) {
    out.set(xchacha20poly1305(key, nonce, aad).encrypt(plaintext));
  },
  openCookie(out, key, nonce, aad, ciphertext) {
    try {
      out.set(xchacha20poly1305(key, nonce, aad).decrypt(ciphertext));
      return true;
    } catch {
      return false;
    }
  },
};

/** A keypair in the store. */
export interface StoredKeypair {
  sendKey: Uint8Array;
  receiveKey: Uint8Array;
  remoteIndex: number;
  /** The next counter to send with. */
  counter: bigint;
  /** Counters received. */
  received: Set<bigint>;
}

/** A keypair store with a simple transport: one datagram at a time, and a replay window without a limit. */
export class NobleKeypairs implements KeypairStore {
  readonly slots: Map<number, StoredKeypair> = new Map();
  #last = 0;

  install(sendKey: Uint8Array, receiveKey: Uint8Array, remoteIndex: number): number {
    this.slots.set(++this.#last, {
      sendKey: sendKey.slice(),
      receiveKey: receiveKey.slice(),
      remoteIndex,
      counter: 0n,
      received: new Set(),
    });
    return this.#last;
  }

  forget(slot: number): void {
    if (!this.slots.delete(slot)) throw new Error(`slot ${slot} was forgotten twice`);
  }

  /** Seals a packet, padded to 16 bytes, into a data message. */
  seal(slot: number, packet: Uint8Array): Uint8Array {
    const keypair = this.slots.get(slot)!;
    const padded = new Uint8Array(Math.ceil(packet.length / 16) * 16);
    padded.set(packet);
    const header = new Uint8Array(16);
    const view = new DataView(header.buffer);
    view.setUint32(0, 4, true);
    view.setUint32(4, keypair.remoteIndex, true);
    view.setBigUint64(8, keypair.counter, true);
    return concatBytes(header, chacha20poly1305(keypair.sendKey, nonce(keypair.counter++)).encrypt(padded));
  }

  /** Opens a data message. @returns Its padded content, or null if it is forged or was received before. */
  open(slot: number, datagram: Uint8Array): Uint8Array | null {
    const keypair = this.slots.get(slot)!;
    if (datagram.length < 32) return null;
    const counter = new DataView(datagram.buffer, datagram.byteOffset).getBigUint64(8, true);
    try {
      const content = chacha20poly1305(keypair.receiveKey, nonce(counter)).decrypt(datagram.subarray(16));
      if (keypair.received.has(counter)) return null;
      keypair.received.add(counter);
      return content;
    } catch {
      return null;
    }
  }
}

function nonce(counter: bigint): Uint8Array {
  const nonce = new Uint8Array(12);
  new DataView(nonce.buffer).setBigUint64(4, counter, true);
  return nonce;
}
