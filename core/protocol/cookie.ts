/**
 * The two MACs at the end of handshake messages, and the cookies that a host under load requires before it does
 * expensive work (whitepaper §5.4.4, §5.4.7).
 *
 * @module
 */

import { LONG_AGO, type Milliseconds } from "./clock.ts";
import { COOKIE_SECRET_LATENCY, COOKIE_SECRET_MAX_AGE } from "./constants.ts";
import { equalBytes, KEY_LENGTH, secretBytes } from "../config/key.ts";
import type { Crypto, Random } from "./crypto.ts";
import { addressBytes, type EndpointWords } from "./endpoint.ts";
import {
  beforeMac1,
  beforeMac2,
  CookieReply,
  field,
  mac1,
  mac2,
  MESSAGE_COOKIE_REPLY,
  readIndex,
  TAG_LENGTH,
  writeIndex,
} from "./messages.ts";

const LABEL_MAC1 = new TextEncoder().encode("mac1----");
const LABEL_COOKIE = new TextEncoder().encode("cookie--");

/** Checks received messages and makes cookie replies. Each device has one. */
export class CookieChecker {
  readonly #crypto: Crypto;
  readonly #random: Random;
  readonly #mac1Key = new Uint8Array(KEY_LENGTH);
  readonly #cookieKey = new Uint8Array(KEY_LENGTH);
  readonly #secret = secretBytes(KEY_LENGTH);
  #secretBorn: number = LONG_AGO;
  readonly #mac = new Uint8Array(TAG_LENGTH);
  readonly #cookie = secretBytes(TAG_LENGTH);

  constructor(crypto: Crypto, random: Random) {
    this.#crypto = crypto;
    this.#random = random;
  }

  /** Computes the keys that are derived from our public key. */
  setPublicKey(publicKey: Uint8Array): void {
    this.#crypto.hash(this.#mac1Key, LABEL_MAC1, publicKey);
    this.#crypto.hash(this.#cookieKey, LABEL_COOKIE, publicKey);
  }

  /** Whether the sender knows our public key. */
  mac1IsValid(message: Uint8Array): boolean {
    this.#crypto.mac(this.#mac, this.#mac1Key, beforeMac1(message));
    return equalBytes(this.#mac, mac1(message));
  }

  /** Whether the sender has our cookie for the address and port that it sends from. */
  mac2IsValid(message: Uint8Array, from: EndpointWords, now: Milliseconds): boolean {
    this.#makeCookie(from, now);
    this.#crypto.mac(this.#mac, this.#cookie, beforeMac2(message));
    this.#cookie.fill(0);
    return equalBytes(this.#mac, mac2(message));
  }

  /** Makes the cookie reply. Only a host that has seen mac1 of the refused message can decrypt it. */
  createReply(message: Uint8Array, from: EndpointWords, now: Milliseconds): Uint8Array {
    const reply = new Uint8Array(64);
    writeIndex(reply, 0, MESSAGE_COOKIE_REPLY);
    // Both initiations and responses have their sender's index at 4.
    writeIndex(reply, CookieReply.receiver, readIndex(message, 4));
    const nonce = field(reply, CookieReply.nonce);
    this.#random(nonce);
    this.#makeCookie(from, now);
    this.#crypto.sealCookie(
      field(reply, CookieReply.cookie),
      this.#cookieKey,
      nonce,
      mac1(message),
      this.#cookie,
    );
    this.#cookie.fill(0);
    return reply;
  }

  /** Zeroes all keys. */
  wipe(): void {
    for (const key of [this.#secret, this.#mac1Key, this.#cookieKey]) key.fill(0);
    this.#secretBorn = LONG_AGO;
  }

  #makeCookie(from: EndpointWords, now: Milliseconds): void {
    if (now - this.#secretBorn >= COOKIE_SECRET_MAX_AGE) {
      this.#random(this.#secret);
      this.#secretBorn = now;
    }
    const address = addressBytes(from);
    const source = new Uint8Array(address.length + 2);
    source.set(address);
    source[address.length] = from[1]! >>> 8;
    source[address.length + 1] = from[1]!;
    this.#crypto.mac(this.#cookie, this.#secret, source);
  }
}

/** Writes the MACs of messages to one peer, and keeps the peer's cookie. Made for the first handshake message. */
export class CookieJar {
  readonly #crypto: Crypto;
  readonly #block = secretBytes(2 * KEY_LENGTH + 2 * TAG_LENGTH);
  readonly #mac1Key = this.#block.subarray(0, 32);
  readonly #cookieKey = this.#block.subarray(32, 64);
  readonly #lastMac1 = this.#block.subarray(64, 80);
  readonly #cookie = this.#block.subarray(80, 96);
  #cookieBorn: number = LONG_AGO;
  #awaitsReply = false;

  constructor(crypto: Crypto, peerPublicKey: Uint8Array) {
    this.#crypto = crypto;
    crypto.hash(this.#mac1Key, LABEL_MAC1, peerPublicKey);
    crypto.hash(this.#cookieKey, LABEL_COOKIE, peerPublicKey);
  }

  /** Whether a message was sent since the last cookie was received. A reply counts once (the kernel's cookie.c). */
  get awaitsReply(): boolean {
    return this.#awaitsReply;
  }

  /** Writes mac1, and mac2 if there is a cookie fresh enough to arrive in time. Otherwise mac2 is zero. */
  addMacs(message: Uint8Array, now: Milliseconds): void {
    this.#crypto.mac(mac1(message), this.#mac1Key, beforeMac1(message));
    this.#lastMac1.set(mac1(message));
    this.#awaitsReply = true;
    if (now - this.#cookieBorn < COOKIE_SECRET_MAX_AGE - COOKIE_SECRET_LATENCY) {
      this.#crypto.mac(mac2(message), this.#cookie, beforeMac2(message));
    } else {
      mac2(message).fill(0);
    }
  }

  /** Handles a reply to the last message. @returns False if it cannot be decrypted; then nothing changes. */
  consumeReply(reply: Uint8Array, now: Milliseconds): boolean {
    const cookie = secretBytes(TAG_LENGTH);
    const sealed = field(reply, CookieReply.cookie);
    if (
      !this.#crypto.openCookie(
        cookie,
        this.#cookieKey,
        field(reply, CookieReply.nonce),
        this.#lastMac1,
        sealed,
      )
    ) {
      return false;
    }
    this.#cookie.set(cookie);
    cookie.fill(0);
    this.#cookieBorn = now;
    this.#awaitsReply = false;
    return true;
  }

  /** Zeroes everything. */
  wipe(): void {
    this.#block.fill(0);
    this.#cookieBorn = LONG_AGO;
    this.#awaitsReply = false;
  }
}
