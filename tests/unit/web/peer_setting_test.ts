/**
 * The changes that the keeper makes when it sets all peers of an interface.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { type Key, KEY_LENGTH, parseKey } from "../../../core/config/key.ts";
import { parsePrefix } from "../../../core/config/prefix.ts";
import type { PeerState } from "../../../core/uapi/get.ts";
import { type PeerChange, peerChange } from "../../../core/uapi/set.ts";
import { PeerSetting } from "../../../core/web/keeper/peer_setting.ts";
import { generateKeys } from "../../netns/lab/keys.ts";

const newKey = () => parseKey(generateKeys().publicKey)!;
const PRESHARED = newKey();
const NO_KEY = new Uint8Array(KEY_LENGTH);

function running(publicKey: Key, more: Partial<PeerState> = {}): PeerState {
  return {
    publicKey,
    presharedKey: PRESHARED,
    persistentKeepalive: 0,
    allowedIps: ["10.8.0.2/32", "fd08::2/128"].map((text) => parsePrefix(text)!),
    lastHandshake: { seconds: 0, nanoseconds: 0 },
    txBytes: 0,
    rxBytes: 0,
    ...more,
  } as PeerState;
}

function wanted(publicKey: Key, presharedKey = PRESHARED, addresses = ["fd08::2", "10.8.0.2"]): PeerChange {
  return peerChange(publicKey, {
    presharedKey,
    replaceAllowedIps: true,
    allowedIps: addresses.map((text) => ({ remove: false, prefix: parsePrefix(text)! })),
  });
}

Deno.test("setting peers does not change peers that are as wanted", () => {
  const [same, bare] = [newKey(), newKey()];
  const { presharedKey: _, ...without } = running(bare);
  const setting = new PeerSetting([running(same), without as PeerState]);
  deepEqual(setting.difference([wanted(same), wanted(bare, NO_KEY)]), []);
  deepEqual(setting.rest(), []);
});

Deno.test("setting peers changes peers that differ, and removes peers that no request has named", () => {
  const keys = {
    added: newKey(),
    key: newKey(),
    bare: newKey(),
    ip: newKey(),
    fewer: newKey(),
    alive: newKey(),
  };
  const [unknown, changed] = [newKey(), newKey()];
  const { presharedKey: _, ...bare } = running(keys.bare);
  const setting = new PeerSetting([
    ...[keys.key, keys.ip, keys.fewer, unknown, changed].map((key) => running(key)),
    bare as PeerState,
    running(keys.alive, { persistentKeepalive: 25 }),
  ]);
  setting.changed([peerChange(changed)]);
  const all = [
    wanted(keys.added),
    wanted(keys.key, newKey()),
    wanted(keys.bare),
    wanted(keys.ip, PRESHARED, ["10.8.0.3", "fd08::2"]),
    wanted(keys.fewer, PRESHARED, ["10.8.0.2"]),
  ];
  deepEqual(setting.difference(all), all);
  deepEqual(setting.difference([wanted(keys.alive)]), [{ ...wanted(keys.alive), persistentKeepalive: 0 }]);
  // This peer was changed meanwhile, so it may differ from its state at the beginning.
  equal(setting.difference([wanted(changed)]).length, 1);
  deepEqual(setting.rest(), [peerChange(unknown, { remove: true })]);
});

Deno.test("two attempts have different numbers", () => {
  ok(new PeerSetting([]).attempt < new PeerSetting([]).attempt);
});
