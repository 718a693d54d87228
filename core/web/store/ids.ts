/**
 * Identifiers and secrets of the store.
 *
 * @module
 */

import { createHash, randomBytes } from "node:crypto";

/** An identifier: 128 random bits. */
export function newId(): string {
  return randomBytes(16).toString("base64url");
}

/** A secret that gives access: 256 random bits. */
export function newSecret(): string {
  return randomBytes(32).toString("base64url");
}

/**
 * The hash of such a secret, which the store keeps. The secret has too many bits to be guessed, so one SHA-256 is
 * enough.
 */
export function hashSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("base64url");
}
