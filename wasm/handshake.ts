/**
 * The cryptography of handshakes and cookies, in the shape that `core/protocol/crypto.ts` declares.
 *
 * @module
 */

import type { Exports } from "./exports.ts";
import type { Memory } from "./memory.ts";
import { Scratch } from "./scratch.ts";

/** Bytes of a key. */
export const KEY = 32;
const TAG = 16;
const NONCE = 24;

/** What handshakes and cookies need of an instance of the module. */
export class HandshakeCrypto {
  /** The memory of the instance. */
  readonly memory: Memory;
  /** Where arguments are copied to. */
  protected readonly scratch: Scratch;

  constructor(protected readonly exports: Exports, memory: Memory) {
    this.memory = memory;
    this.scratch = new Scratch(exports, memory);
  }

  /** Curve25519. @returns False for an all-zero result, which must not be used. */
  dh(out: Uint8Array, privateKey: Uint8Array, publicKey: Uint8Array): boolean {
    const to = this.scratch.reserve(KEY);
    const ok =
      this.exports.shared_secret(to, this.scratch.put(privateKey), this.scratch.put(publicKey)) !== 0;
    if (ok) this.scratch.take(out, to);
    this.scratch.wipe();
    return ok;
  }

  /** The public key of a private key. */
  publicKey(out: Uint8Array, privateKey: Uint8Array): void {
    const to = this.scratch.reserve(KEY);
    this.exports.public_key(to, this.scratch.put(privateKey));
    this.scratch.take(out, to);
    this.scratch.wipe();
  }

  /** BLAKE2s-256 of `a`, or of `a` followed by `b`. */
  hash(out: Uint8Array, a: Uint8Array, b?: Uint8Array): void {
    const to = this.scratch.reserve(KEY);
    this.exports.hash(to, this.scratch.put(a), a.length, b ? this.scratch.put(b) : to, b?.length ?? 0);
    this.scratch.take(out, to);
    this.scratch.wipe();
  }

  /** Keyed BLAKE2s of 16 bytes. */
  mac(out: Uint8Array, key: Uint8Array, data: Uint8Array): void {
    const to = this.scratch.reserve(TAG);
    this.exports.mac(to, this.scratch.put(key), key.length, this.scratch.put(data), data.length);
    this.scratch.take(out, to);
    this.scratch.wipe();
  }

  /** HKDF with HMAC-BLAKE2s. Outputs may overlap inputs. */
  kdf(chainingKey: Uint8Array, input: Uint8Array, t1: Uint8Array, t2?: Uint8Array, t3?: Uint8Array): void {
    const to = this.scratch.reserve(3 * KEY);
    this.exports.kdf(to, this.scratch.put(chainingKey), this.scratch.put(input), input.length);
    this.scratch.take(t1, to);
    if (t2) this.scratch.take(t2, to + KEY);
    if (t3) this.scratch.take(t3, to + 2 * KEY);
    this.scratch.wipe();
  }

  /** ChaCha20-Poly1305 with nonce 0; `out` has 16 bytes more than `plaintext`. */
  seal(out: Uint8Array, key: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): void {
    const data = this.scratch.put(plaintext, TAG);
    this.exports.seal(data, plaintext.length, this.scratch.put(key), this.scratch.put(aad), aad.length);
    this.scratch.take(out, data);
    this.scratch.wipe();
  }

  /** The inverse of `seal`. @returns False if the tag is wrong. */
  open(out: Uint8Array, key: Uint8Array, aad: Uint8Array, ciphertext: Uint8Array): boolean {
    const data = this.scratch.put(ciphertext);
    const ok = ciphertext.length >= TAG &&
      this.exports.open(
          data,
          ciphertext.length,
          this.scratch.put(key),
          this.scratch.put(aad),
          aad.length,
        ) !== 0;
    if (ok) this.scratch.take(out, data);
    this.scratch.wipe();
    return ok;
  }

  /** XChaCha20-Poly1305 with a nonce of 24 bytes. */
  sealCookie(
    out: Uint8Array,
    key: Uint8Array,
    nonce: Uint8Array,
    aad: Uint8Array,
    plaintext: Uint8Array,
  ): void {
    const data = this.scratch.put(plaintext, TAG);
    const nonceAt = this.scratch.put(nonce.subarray(0, NONCE));
    this.exports.seal_cookie(
      data,
      plaintext.length,
      this.scratch.put(key),
      nonceAt,
      this.scratch.put(aad),
      aad.length,
    );
    this.scratch.take(out, data);
    this.scratch.wipe();
  }

  /** The inverse of `sealCookie`. @returns False if the tag is wrong. */
  openCookie(
    out: Uint8Array,
    key: Uint8Array,
    nonce: Uint8Array,
    aad: Uint8Array,
    ciphertext: Uint8Array,
  ): boolean {
    const data = this.scratch.put(ciphertext);
    const nonceAt = this.scratch.put(nonce.subarray(0, NONCE));
    const ok = ciphertext.length >= TAG &&
      this.exports.open_cookie(
          data,
          ciphertext.length,
          this.scratch.put(key),
          nonceAt,
          this.scratch.put(aad),
          aad.length,
        ) !== 0;
    if (ok) this.scratch.take(out, data);
    this.scratch.wipe();
    return ok;
  }
}
