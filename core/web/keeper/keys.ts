/**
 * Derives preshared keys when they are needed. They are not stored.
 *
 * @module
 */

import { hkdfSync } from "node:crypto";
import { type Key, KEY_LENGTH } from "../../config/key.ts";

/**
 * Derives the preshared key of a peer (HKDF, RFC 5869, with SHA-256).
 *
 * @param secret The network's secret of 32 bytes, which only the keeper has.
 * @param generation Each number gives different keys.
 * @param publicKey The peer's.
 * @returns 32 bytes.
 */
export function derivePresharedKey(secret: Uint8Array, generation: number, publicKey: Key): Key {
  const info = new Uint8Array(8 + KEY_LENGTH);
  new DataView(info.buffer).setBigUint64(0, BigInt(generation));
  info.set(publicKey, 8);
  return new Uint8Array(hkdfSync("sha256", secret, "wgd preshared key", info, KEY_LENGTH));
}
