/**
 * Time-based one-time passwords (RFC 6238), as authenticator apps compute them: SHA-1, six digits, 30 seconds.
 *
 * @module
 */

import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** Seconds for which a code is valid. */
const STEP = 30;
const DIGITS = 6;
/** Bytes of a new secret: as many as a SHA-1 hash has (RFC 4226, section 4, R6). */
const SECRET = 20;
/** The alphabet of base32 (RFC 4648, section 6). */
const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** A new secret. */
export function newTotpSecret(): Uint8Array {
  return new Uint8Array(randomBytes(SECRET));
}

/** The code of a time step (RFC 4226, section 5.3). */
export function totpCode(secret: Uint8Array, step: number, digits = DIGITS): string {
  const counter = new DataView(new ArrayBuffer(8));
  counter.setBigUint64(0, BigInt(step));
  const mac = createHmac("sha1", secret).update(new Uint8Array(counter.buffer)).digest();
  const value = mac.readUInt32BE(mac[mac.length - 1]! & 0xf) & 0x7fff_ffff;
  return String(value % 10 ** digits).padStart(digits, "0");
}

/**
 * Checks a code. The codes of one step before and after are also accepted, because clocks may differ (RFC 6238, section
 * 5.2).
 *
 * @param now Milliseconds since 1970.
 * @param usedStep The step of the last code that was accepted. A code is accepted once, and no code before it.
 * @returns The step of the code, to be stored; undefined if the code is wrong.
 */
export function checkTotp(
  secret: Uint8Array,
  code: string,
  now: number,
  usedStep: number | null,
): number | undefined {
  const digits = code.replaceAll(/\s/g, "");
  if (!/^\d{6}$/.test(digits)) return undefined;
  const current = Math.floor(now / 1_000 / STEP);
  let accepted: number | undefined;
  for (const step of [current - 1, current, current + 1]) {
    const same = timingSafeEqual(
      new TextEncoder().encode(totpCode(secret, step)),
      new TextEncoder().encode(digits),
    );
    if (same && (usedStep === null || step > usedStep)) accepted = step;
  }
  return accepted;
}

/** A secret in base32, for people who type it. */
export function base32(bytes: Uint8Array): string {
  let text = "";
  let [value, bits] = [0, 0];
  for (const byte of bytes) {
    value = value << 8 | byte;
    bits += 8;
    for (; bits >= 5; bits -= 5) text += BASE32[value >>> bits - 5 & 31];
    value &= 31;
  }
  return bits === 0 ? text : text + BASE32[value << 5 - bits & 31];
}

/** The content of the QR code for an authenticator app (Google Authenticator's key URI format). */
export function totpUri(secret: Uint8Array, account: string, issuer: string): string {
  const label = `${encodeURIComponent(issuer)}:${encodeURIComponent(account)}`;
  return `otpauth://totp/${label}?secret=${base32(secret)}&issuer=${encodeURIComponent(issuer)}`;
}
