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

/** What the store keeps of such a secret. It has too many bits to be found by trying, so one SHA-256 is enough. */
export function hashSecret(secret: string): string {
  return createHash("sha256").update(secret).digest("base64url");
}
