/**
 * Computes the public key of an interface with the runtime's X25519, because loading WebAssembly would take longer than
 * all other work of `up` on the file.
 *
 * @module
 */

import { type Key, KEY_LENGTH } from "../config/key.ts";

/** The bytes before the 32 bytes of an X25519 private key in PKCS #8 (RFC 8410, section 7). */
const PKCS8_HEADER = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20];

/** Computes the public key of a private key (X25519). */
export async function publicKeyOf(privateKey: Key): Promise<Key> {
  const encoded = new Uint8Array([...PKCS8_HEADER, ...privateKey]);
  try {
    const own = await crypto.subtle.importKey("pkcs8", encoded, "X25519", false, ["deriveBits"]);
    const basePoint = new Uint8Array(KEY_LENGTH);
    basePoint[0] = 9;
    const base = await crypto.subtle.importKey("raw", basePoint, "X25519", false, []);
    const algorithm = { name: "X25519", public: base };
    return new Uint8Array(await crypto.subtle.deriveBits(algorithm, own, 8 * KEY_LENGTH));
  } finally {
    encoded.fill(0);
  }
}
