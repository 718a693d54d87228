/**
 * Makes new keys.
 *
 * @module
 */

import { clampKey, type Key, KEY_LENGTH } from "./config/key.ts";

/**
 * Makes a private key from the system's randomness.
 *
 * @example
 * ```ts
 * import { formatKey, generatePrivateKey } from "@wgd/wgd";
 * import { equal } from "node:assert/strict";
 *
 * equal(formatKey(generatePrivateKey()).length, 44);
 * ```
 *
 * @returns 32 bytes, clamped (RFC 7748 section 5).
 */
export function generatePrivateKey(): Key {
  const key = generatePresharedKey();
  clampKey(key);
  return key;
}

/**
 * Makes a preshared key from the system's randomness.
 *
 * @example
 * ```ts
 * import { formatKey, generatePresharedKey } from "@wgd/wgd";
 *
 * console.log(`PresharedKey = ${formatKey(generatePresharedKey())}`);
 * ```
 *
 * @returns 32 bytes.
 */
export function generatePresharedKey(): Key {
  return crypto.getRandomValues(new Uint8Array(KEY_LENGTH));
}
