import { deepEqual, equal } from "node:assert/strict";
import { formatHexKey, isZeroKey } from "../../../core/config/key.ts";
import { parseWgConfig } from "../../../core/config/wg_config.ts";
import { toChange, toConfig, toDifference } from "../../../core/uapi/convert.ts";
import type { DeviceState, PeerState } from "../../../core/uapi/get.ts";
import { formatSet } from "../../../core/uapi/set.ts";
import { formatConfig } from "../../../core/config/format.ts";

const A = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const B = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const C = "X5yVvKNQjCSx0LFVnIPvWwREXMRYHI6G2CJO3dCfEVc=";

function peer(text: string, more: Partial<PeerState> = {}): PeerState {
  const { publicKey } = parseWgConfig(`[Peer]\nPublicKey=${text}`).peers[0]!;
  return {
    publicKey,
    lastHandshake: { seconds: 0, nanoseconds: 0 },
    txBytes: 0,
    rxBytes: 0,
    persistentKeepalive: 0,
    allowedIps: [],
    ...more,
  };
}

function running(...peers: PeerState[]): DeviceState {
  return { listenPort: 5, fwmark: 0, peers };
}

Deno.test("toChange() resets settings that the file does not contain, except when it adds", () => {
  const config = parseWgConfig("[Interface]\n");
  for (const mode of ["set", "sync"] as const) {
    const change = toChange(config, [], mode);
    equal(isZeroKey(change.privateKey!), true);
    deepEqual([change.listenPort, change.fwmark, change.replacePeers], [0, 0, true]);
  }
  deepEqual(toChange(config, [], "add"), { replacePeers: false, peers: [] });
});

Deno.test("toDifference() first removes missing peers, and does not change the others", () => {
  const config = parseWgConfig(`[Peer]\nPublicKey=${B}\n[Peer]\nPublicKey=${C}\n`);
  const change = toDifference(toChange(config, [], "sync"), running(peer(A), peer(B)));
  equal(change.replacePeers, false);
  deepEqual(change.peers.map(({ publicKey, remove }) => [publicKey[0], remove]), [
    [0, true],
    [1, false],
    [0x5f, false],
  ]);
});

Deno.test("toDifference() removes a preshared key and a keepalive that the file no longer has", () => {
  const state = running(peer(B, { presharedKey: new Uint8Array(32).fill(1), persistentKeepalive: 25 }));
  const bare = toDifference(toChange(parseWgConfig(`[Peer]\nPublicKey=${B}`), [], "sync"), state).peers[0]!;
  equal(isZeroKey(bare.presharedKey!), true);
  equal(bare.persistentKeepalive, 0);
  const named = parseWgConfig(`[Peer]\nPublicKey=${B}\nPresharedKey=${C}\nPersistentKeepalive=7`);
  const kept = toDifference(toChange(named, [], "sync"), state).peers[0]!;
  equal(formatHexKey(kept.presharedKey!).slice(0, 2), "5f");
  equal(kept.persistentKeepalive, 7);
});

Deno.test("toDifference() replaces all peers if the file or the interface has none", () => {
  equal(toDifference(toChange(parseWgConfig(""), [], "sync"), running(peer(A))).replacePeers, true);
  const one = toChange(parseWgConfig(`[Peer]\nPublicKey=${B}`), [], "sync");
  equal(toDifference(one, running()).replacePeers, true);
});

Deno.test("toDifference() leaves an unnamed endpoint alone: the peer may have roamed", () => {
  const endpoint = { family: 4 as const, address: Uint8Array.of(1, 2, 3, 4), port: 5, scope: 0 };
  const change = toDifference(
    toChange(parseWgConfig(`[Peer]\nPublicKey=${B}`), [], "sync"),
    running(peer(B, { endpoint })),
  );
  equal([...formatSet(change)].join("").includes("endpoint="), false);
});

Deno.test("toConfig() leaves out settings that are off, and writes scopes by name", () => {
  const endpoint = {
    family: 6 as const,
    address: Uint8Array.of(0xfe, 0x80, ...new Uint8Array(14)),
    port: 5,
    scope: 7,
  };
  const text = formatConfig(toConfig(running(peer(B, { endpoint })), () => "eth7"));
  equal(text, `[Interface]\nListenPort = 5\n\n[Peer]\nPublicKey = ${B}\nEndpoint = [fe80::%eth7]:5\n`);
  equal(formatConfig(toConfig({ listenPort: 0, fwmark: 0, peers: [] })), "[Interface]\n\n");
});
