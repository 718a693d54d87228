/**
 * What the protocol needs from cryptography. `wasm/handshake.ts` has this shape without importing it. So does the second,
 * independent backend of the tests, which run every handshake with both.
 *
 * Out-parameters have the exact length of what is written and may alias inputs.
 *
 * @module
 */

/** The primitives (whitepaper §5.4). All keys and hashes are 32 bytes. */
export interface Crypto {
  /**
   * X25519 (RFC 7748).
   *
   * @returns False if the result is all zeros, which a public key of low order forces; it must not be used then.
   */
  dh(out: Uint8Array, privateKey: Uint8Array, publicKey: Uint8Array): boolean;
  /** The public key of a private key. */
  publicKey(out: Uint8Array, privateKey: Uint8Array): void;
  /** BLAKE2s-256 of `a || b`. */
  hash(out: Uint8Array, a: Uint8Array, b?: Uint8Array): void;
  /** Keyed BLAKE2s with 16 bytes of output; the key has 16 or 32 bytes. */
  mac(out: Uint8Array, key: Uint8Array, data: Uint8Array): void;
  /** HKDF over HMAC-BLAKE2s (the plain hash in RFC 2104's construction), one to three outputs of 32 bytes. */
  kdf(chainingKey: Uint8Array, input: Uint8Array, t1: Uint8Array, t2?: Uint8Array, t3?: Uint8Array): void;
  /** ChaCha20-Poly1305 with nonce 0; `out` is 16 bytes longer than `plaintext`. */
  seal(out: Uint8Array, key: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): void;
  /** @returns False if the tag is wrong; `out` is unspecified then. */
  open(out: Uint8Array, key: Uint8Array, aad: Uint8Array, ciphertext: Uint8Array): boolean;
  /** XChaCha20-Poly1305 with a random nonce of 24 bytes. */
  sealCookie(
    out: Uint8Array,
    key: Uint8Array,
    nonce: Uint8Array,
    aad: Uint8Array,
    plaintext: Uint8Array,
  ): void;
  /** @returns False if the tag is wrong; `out` is unspecified then. */
  openCookie(
    out: Uint8Array,
    key: Uint8Array,
    nonce: Uint8Array,
    aad: Uint8Array,
    ciphertext: Uint8Array,
  ): boolean;
}

/**
 * Where transport keys live: with their counters and replay windows, outside of JavaScript, addressed by slot.
 *
 * @typeParam Slot The store's own brand of number.
 */
export interface KeypairStore<Slot extends number = number> {
  /**
   * Copies two keys in, with counter 0 and an empty window. May grow the memory and so renew its views.
   *
   * @param remoteIndex The receiver index that the peer expects in data messages.
   */
  install(sendKey: Uint8Array, receiveKey: Uint8Array, remoteIndex: number): Slot;
  /** Zeroes both keys and frees the slot. */
  forget(slot: Slot): void;
}

/** Fills its argument with random bytes that are fit for keys. */
export type Random = (out: Uint8Array) => void;
