/**
 * Keys as text: base64 in files and on the command line, hexadecimal in the configuration protocol.
 *
 * Encoding and decoding take the same time and access the same memory for every key: no table is indexed by a secret,
 * and no branch depends on one. A JIT compiler cannot guarantee this, but the code gives it no reason to differ.
 *
 * @module
 */

/** A private, public or preshared key: 32 bytes. */
export type Key = Uint8Array;

/** Bytes in a key. */
export const KEY_LENGTH = 32;

/** Characters of a key in base64, padding included. */
export const KEY_BASE64_LENGTH = 44;

const KEY_HEX_LENGTH = 64;

/**
 * Zeroed bytes for a secret, outside of V8's heap: there, a garbage collection would leave copies behind. (An array made
 * by its length alone lies on the heap if it has at most 64 bytes.)
 */
export function secretBytes(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(length));
}

/**
 * Reads a key as `wg` writes it: exactly 44 characters of base64, the last one `=`, unused bits zero.
 *
 * @example
 * ```ts
 * import { parseKey } from "@wgd/wgd";
 * import { equal } from "node:assert/strict";
 *
 * equal(parseKey("xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=")?.length, 32);
 * equal(parseKey("xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg"), null);
 * ```
 *
 * @param text The whole text; it is not trimmed.
 * @returns The key, or null if the text is not one.
 */
export function parseKey(text: string): Key | null {
  if (text.length !== KEY_BASE64_LENGTH || text.charCodeAt(43) !== 0x3d) return null;
  const key = new Uint8Array(KEY_LENGTH);
  let bad = 0;
  for (let i = 0, o = 0; i < 40; i += 4, o += 3) {
    const bits = sextet(text.charCodeAt(i)) << 18 | sextet(text.charCodeAt(i + 1)) << 12 |
      sextet(text.charCodeAt(i + 2)) << 6 | sextet(text.charCodeAt(i + 3));
    bad |= bits;
    key[o] = bits >> 16;
    key[o + 1] = bits >> 8;
    key[o + 2] = bits;
  }
  const last = sextet(text.charCodeAt(40)) << 12 | sextet(text.charCodeAt(41)) << 6 |
    sextet(text.charCodeAt(42));
  key[30] = last >> 10;
  key[31] = last >> 2;
  // A bad character is -1, which survives every shift and OR as the sign; the two bits past the key must be zero.
  const wrong = (bad >>> 31) | (last >>> 31) | (last & 3);
  if (wrong === 0) return key;
  key.fill(0);
  return null;
}

/**
 * Writes a key in base64.
 *
 * @example
 * ```ts
 * import { formatKey } from "@wgd/wgd";
 * import { equal } from "node:assert/strict";
 *
 * equal(formatKey(new Uint8Array(32)), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
 * ```
 *
 * @param key 32 bytes.
 * @returns 44 characters.
 */
export function formatKey(key: Key): string {
  const codes = new Array<number>(KEY_BASE64_LENGTH);
  for (let i = 0, o = 0; i < 33; i += 3, o += 4) {
    const bits = key[i]! << 16 | key[i + 1]! << 8 | (i === 30 ? 0 : key[i + 2]!);
    codes[o] = base64Code(bits >> 18);
    codes[o + 1] = base64Code(bits >> 12 & 63);
    codes[o + 2] = base64Code(bits >> 6 & 63);
    codes[o + 3] = base64Code(bits & 63);
  }
  codes[43] = 0x3d;
  return String.fromCharCode.apply(null, codes);
}

/**
 * Reads a key of the configuration protocol: 64 hexadecimal digits in either case.
 *
 * @param key Filled and returned; for a secret, `secretBytes(KEY_LENGTH)`.
 * @returns The key, or null if the text is not one.
 */
export function parseHexKey(text: string, key: Key = new Uint8Array(KEY_LENGTH)): Key | null {
  if (text.length !== KEY_HEX_LENGTH) return null;
  let bad = 0;
  for (let i = 0; i < KEY_LENGTH; i++) {
    const byte = nibble(text.charCodeAt(i * 2)) << 4 | nibble(text.charCodeAt(i * 2 + 1));
    bad |= byte;
    key[i] = byte;
  }
  if (bad >= 0) return key;
  key.fill(0);
  return null;
}

/** Writes a key as 64 hexadecimal digits, lower case. */
export function formatHexKey(key: Key): string {
  const codes = new Array<number>(KEY_HEX_LENGTH);
  for (let i = 0; i < KEY_LENGTH; i++) {
    const byte = key[i]!;
    codes[i * 2] = hexCode(byte >> 4);
    codes[i * 2 + 1] = hexCode(byte & 15);
  }
  return String.fromCharCode.apply(null, codes);
}

/** Whether all 32 bytes are zero, which stands for "no key" in the configuration protocol. */
export function isZeroKey(key: Key): boolean {
  let bits = 0;
  for (let i = 0; i < KEY_LENGTH; i++) bits |= key[i]!;
  return bits === 0;
}

/**
 * Compares keys or MACs in a time that does not depend on where the first difference is.
 *
 * @param a As long as `b`.
 */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!;
  return difference === 0;
}

/** Sets the bits of a private key that X25519 fixes, in place (RFC 7748 §5). */
export function clampKey(key: Key): void {
  key[0]! &= 248;
  key[31] = key[31]! & 127 | 64;
}

/** All ones if `low <= code <= high`, else zero. Codes are 0 to 65535, so the differences keep their sign. */
function inRange(code: number, low: number, high: number): number {
  return ~((code - low | high - code) >> 31);
}

function sextet(code: number): number {
  return -1 +
    (inRange(code, 0x41, 0x5a) & code - 64) +
    (inRange(code, 0x61, 0x7a) & code - 70) +
    (inRange(code, 0x30, 0x39) & code + 5) +
    (inRange(code, 0x2b, 0x2b) & 63) +
    (inRange(code, 0x2f, 0x2f) & 64);
}

function base64Code(value: number): number {
  return (inRange(value, 0, 25) & value + 0x41) | (inRange(value, 26, 51) & value + 71) |
    (inRange(value, 52, 61) & value - 4) | (inRange(value, 62, 62) & 0x2b) | (inRange(value, 63, 63) & 0x2f);
}

function nibble(code: number): number {
  return -1 +
    (inRange(code, 0x30, 0x39) & code - 47) +
    (inRange(code, 0x41, 0x46) & code - 54) +
    (inRange(code, 0x61, 0x66) & code - 86);
}

function hexCode(value: number): number {
  return (inRange(value, 0, 9) & value + 0x30) | (inRange(value, 10, 15) & value + 87);
}
