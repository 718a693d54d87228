/**
 * Computes public keys. It is separate from the other functions for keys, because only this one needs WebAssembly.
 *
 * @module
 */

import { type Key, KEY_LENGTH } from "./config/key.ts";
import { Wasm } from "../wasm/mod.ts";

let wasm: Wasm | undefined;

/**
 * Computes the public key of a private key (X25519).
 *
 * @example
 * ```ts
 * import { formatKey, parseKey, publicKey } from "@wgd/wgd";
 * import { equal } from "node:assert/strict";
 *
 * const privateKey = parseKey("4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA=")!;
 * equal(formatKey(publicKey(privateKey)), "YnENBRAZtW3qPfLPZmEJdl5ZVVh74gAY9cMO/gRQbA4=");
 * ```
 *
 * @param privateKey 32 bytes. A copy is clamped if they are not.
 * @returns 32 bytes.
 */
export function publicKey(privateKey: Key): Key {
  const key = new Uint8Array(KEY_LENGTH);
  wasm ??= new Wasm();
  wasm.publicKey(key, privateKey);
  return key;
}
