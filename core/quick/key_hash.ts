/**
 * Hashes in place of keys in records. They show whether a key has changed, but not the key.
 *
 * @module
 */

import { formatKey, type Key } from "../config/key.ts";
import type { WgConfig } from "../config/wg_config.ts";
import type { DeviceState } from "../uapi/get.ts";
import type { KeyHash } from "./plan/applied.ts";

/** Hashes the secrets of a file and of an interface. @returns A function that finds the hash of each. */
export async function hashSecrets(...holders: readonly (WgConfig | DeviceState)[]): Promise<KeyHash> {
  const keys = new Map<string, Key>();
  for (const { privateKey, peers } of holders) {
    if (privateKey) keys.set(formatKey(privateKey), privateKey);
    for (const { presharedKey } of peers) if (presharedKey) keys.set(formatKey(presharedKey), presharedKey);
  }
  const hashes = new Map(
    await Promise.all([...keys].map(async ([text, key]) => [text, await hashOf(key)] as const)),
  );
  return (key) => hashes.get(formatKey(key))!;
}

/** The hash of one key. */
export async function hashOf(key: Key): Promise<string> {
  return formatKey(new Uint8Array(await crypto.subtle.digest("SHA-256", key as Uint8Array<ArrayBuffer>)));
}
