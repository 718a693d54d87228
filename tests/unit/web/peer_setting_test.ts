/**
 * The changes that the keeper makes when it sets all peers of an interface.
 *
 * @module
 */

import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { formatKey, type Key, KEY_LENGTH, parseKey } from "../../../core/config/key.ts";
import { parsePrefix } from "../../../core/config/prefix.ts";
import type { PeerState } from "../../../core/uapi/get.ts";
import { type PeerChange, peerChange } from "../../../core/uapi/set.ts";
import { PeerSetting, PeerSettings } from "../../../core/web/keeper/peer_setting.ts";
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

function settingOf(...peers: PeerState[]): PeerSetting {
  const setting = new PeerSetting();
  for (const peer of peers) setting.existed(peer);
  return setting;
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
  const setting = settingOf(running(same), without as PeerState);
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
  const setting = settingOf(
    ...[keys.key, keys.ip, keys.fewer, unknown, changed].map((key) => running(key)),
    bare as PeerState,
    running(keys.alive, { persistentKeepalive: 25 }),
  );
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
  ok(new PeerSetting().attempt < new PeerSetting().attempt);
});

Deno.test("attempts of two connections run side by side, and neither removes what the other names", () => {
  const settings = new PeerSettings();
  const [web, command] = [{}, {}];
  const [kept, added, unknown] = [newKey(), newKey(), newKey()];
  const peers = [running(kept), running(added), running(unknown)];
  const first = settings.begin(web, "wg0", settingOf(...peers));
  const second = settings.begin(command, "wg0", settingOf(...peers));
  deepEqual(settings.get("wg0", second).difference([wanted(kept)]), []);
  settings.named("wg0", [wanted(kept)]);
  settings.changed("wg0", [wanted(added)]);
  deepEqual(settings.get("wg0", second).rest(), [peerChange(unknown, { remove: true })]);
  settings.end(second);
  throws(() => settings.get("wg0", second), /no longer being set/);
  const setting = settings.get("wg0", first);
  // The first one knows its state still, so it does not set it again.
  deepEqual(setting.difference([wanted(kept)]), []);
  deepEqual(setting.rest(), [peerChange(unknown, { remove: true })]);
});

Deno.test("an attempt ends with its connection, its network, and the next one of its connection", () => {
  const settings = new PeerSettings();
  const [web, command] = [{}, {}];
  const first = settings.begin(web, "wg0", settingOf());
  const other = settings.begin(web, "wg1", settingOf());
  const second = settings.begin(web, "wg0", settingOf());
  const commands = settings.begin(command, "wg0", settingOf());
  const isOpen = (name: string, attempt: number) => {
    try {
      return settings.get(name, attempt).attempt === attempt;
    } catch {
      return false;
    }
  };
  const open = () =>
    [["wg0", first], ["wg1", other], ["wg0", second], ["wg0", commands]].map(([name, attempt]) =>
      isOpen(name as string, attempt as number)
    );
  deepEqual(open(), [false, true, true, true]);
  equal(isOpen("wg1", second), false);
  settings.endOf(web);
  deepEqual(open(), [false, false, false, true]);
  settings.endAt("wg0");
  deepEqual(open(), [false, false, false, false]);
});

Deno.test("peers that are cut off are removed, unless somebody has named them since", () => {
  const [cut, back] = [newKey(), newKey()];
  const setting = settingOf(running(cut), running(back));
  setting.changed([wanted(back)]);
  const keys = [cut, back, newKey()].map((key) => formatKey(key));
  deepEqual(setting.removal(keys), [peerChange(cut, { remove: true })]);
});
