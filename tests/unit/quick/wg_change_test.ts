import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { formatKey, type Key, parseKey } from "../../../core/config/key.ts";
import { formatPrefix } from "../../../core/config/prefix.ts";
import { parseWgConfig } from "../../../core/config/wg_config.ts";
import { type Applied, appliedBy, leftByHooks } from "../../../core/quick/plan/applied.ts";
import { endpointsToLookUp, wgChange } from "../../../core/quick/plan/wg_change.ts";
import type { DeviceState, PeerState } from "../../../core/uapi/get.ts";
import type { DeviceChange } from "../../../core/uapi/set.ts";

const KEYS = ["x", "y", "z"].map((letter) => `${letter.repeat(42)}0=`);
const hash = (key: Key) => `hash of ${formatKey(key)}`;

function applied(text: string, fwmark?: number): Applied {
  const config = parseWgConfig(text);
  return appliedBy(config, fwmark ?? config.fwmark, new Map(), hash);
}

function nothing(): DeviceState {
  return { listenPort: 0, fwmark: 0, peers: [] };
}

/** What an interface is after a change, in the plainest way. */
function after(state: DeviceState, change: DeviceChange): DeviceState {
  const peers = new Map(state.peers.map((peer) => [formatKey(peer.publicKey), { ...peer }]));
  for (const peer of change.peers) {
    const key = formatKey(peer.publicKey);
    if (peer.remove) {
      peers.delete(key);
      continue;
    }
    const now: PeerState = peers.get(key) ?? {
      publicKey: peer.publicKey,
      lastHandshake: { seconds: 0, nanoseconds: 0 },
      txBytes: 0,
      rxBytes: 0,
      persistentKeepalive: 0,
      allowedIps: [],
    };
    peers.set(key, now);
    if (peer.presharedKey?.some((byte) => byte !== 0)) now.presharedKey = peer.presharedKey;
    else if (peer.presharedKey) delete now.presharedKey;
    if (peer.persistentKeepalive !== undefined) now.persistentKeepalive = peer.persistentKeepalive;
    const had = peer.replaceAllowedIps ? [] : now.allowedIps;
    const given = peer.allowedIps.map(({ prefix }) => prefix);
    const texts = new Set(given.map(formatPrefix));
    for (const other of peers.values()) {
      other.allowedIps = other.allowedIps.filter((prefix) => !texts.has(formatPrefix(prefix)));
    }
    now.allowedIps = [...had.filter((prefix) => !texts.has(formatPrefix(prefix))), ...given];
  }
  return {
    ...state,
    ...(change.privateKey && { privateKey: change.privateKey }),
    listenPort: change.listenPort ?? state.listenPort,
    fwmark: change.fwmark ?? state.fwmark,
    peers: [...peers.values()],
  };
}

function changeOf(text: string, before: readonly string[], running: DeviceState, left?: Applied) {
  const sides = {
    config: parseWgConfig(text),
    wanted: applied(text),
    before: before.map((one) => applied(one)),
  };
  return wgChange({ ...sides, left, running, hash }, new Map());
}

/** An interface as a file makes it. */
function made(text: string): DeviceState {
  return after(nothing(), changeOf(text, [], nothing()).change);
}

/** What an interface has, in a form that compares. */
function shown({ peers, fwmark, listenPort, privateKey }: DeviceState): unknown {
  return {
    fwmark,
    listenPort,
    privateKey: privateKey && formatKey(privateKey),
    peers: Object.fromEntries(peers.map((peer) => [formatKey(peer.publicKey), {
      psk: peer.presharedKey && formatKey(peer.presharedKey),
      keepalive: peer.persistentKeepalive,
      allowedIps: peer.allowedIps.map(formatPrefix).sort(),
    }])),
  };
}

/** A file with any of the values that can be in one. */
const file = fc.record({
  port: fc.constantFrom("", "ListenPort = 1\n", "ListenPort = 2\n"),
  mark: fc.constantFrom("", "FwMark = 1\n", "FwMark = 2\n"),
  key: fc.constantFrom("", ...KEYS.map((key) => `PrivateKey = ${key}\n`)),
  peers: fc.uniqueArray(
    fc.record({
      key: fc.constantFrom(...KEYS),
      psk: fc.constantFrom("", ...KEYS.map((key) => `PresharedKey = ${key}\n`)),
      keepalive: fc.constantFrom("", "PersistentKeepalive = 5\n", "PersistentKeepalive = off\n"),
      networks: fc.uniqueArray(fc.constantFrom("10.0.0.0/8", "10.1.0.0/16", "fd00::/8", "0.0.0.0/0")),
    }),
    { selector: ({ key }) => key, maxLength: 3 },
  ),
}).map(({ port, mark, key, peers }) =>
  `[Interface]\n${port}${mark}${key}${
    peers.map(({ key, psk, keepalive, networks }) =>
      `[Peer]\nPublicKey = ${key}\n${psk}${keepalive}AllowedIPs = ${networks.join(", ")}\n`
    ).join("")
  }`.replaceAll("AllowedIPs = \n", "")
);

Deno.test("wgChange(): an unchanged file causes no change, also after hooks", () => {
  fc.assert(fc.property(file, file, (text, hooks) => {
    deepEqual(changeOf(text, [text], made(text)).lines, []);
    // Whatever hooks did, such as all that another file says.
    const hooked = after(made(text), changeOf(hooks, [], made(text)).change);
    const { lines, differences, names } = changeOf(
      text,
      [text],
      hooked,
      leftByHooks(applied(text), hooked, hash),
    );
    deepEqual([lines, differences, [...names]], [[], [], []]);
  }));
});

Deno.test("wgChange() applies a whole file once, and reports no difference for changes of the file", () => {
  fc.assert(fc.property(file, file, (before, text) => {
    const running = made(before);
    const { change } = changeOf(text, [before], running);
    const now = after(running, change);
    const fresh = made(text);
    // A key and nothing else outlives its line.
    if (!/PrivateKey/.test(text) && running.privateKey) fresh.privateKey = running.privateKey;
    deepEqual(shown(now), shown(fresh));
    deepEqual(changeOf(text, [text], now).lines, []);
    // Where a reload was killed, at its begin or its end, both are on record.
    for (const state of [running, now]) {
      deepEqual(shown(after(state, changeOf(text, [before, text], state).change)), shown(fresh));
    }
  }));
});

Deno.test("wgChange() keeps settings that neither file contains", () => {
  const before = `[Interface]\n[Peer]\nPublicKey = ${KEYS[0]}\nAllowedIPs = 10.0.0.0/8\n`;
  const running = made(
    `[Interface]\nFwMark = 7\nListenPort = 9\nPrivateKey = ${KEYS[2]}\n` +
      `[Peer]\nPublicKey = ${KEYS[0]}\nPresharedKey = ${KEYS[1]}\nPersistentKeepalive = 3\n` +
      `AllowedIPs = 10.0.0.0/8, 10.9.0.0/16\n[Peer]\nPublicKey = ${KEYS[1]}\nAllowedIPs = fd00::/8\n`,
  );
  const text = before.replace("10.0.0.0/8", "10.1.0.0/16");
  const { change, lines, differences } = changeOf(text, [before], running);
  deepEqual(lines, [`peer ${KEYS[0]} (changed: allowed-ips)`]);
  deepEqual(differences, []);
  const now = after(running, change);
  deepEqual(shown(now), {
    ...shown(running) as object,
    peers: {
      ...(shown(running) as { peers: object }).peers,
      [KEYS[0]!]: {
        psk: KEYS[1],
        keepalive: 3,
        allowedIps: ["10.1.0.0/16", "10.9.0.0/16"],
      },
    },
  });
});

Deno.test("wgChange() reports settings of the file that another program has changed", () => {
  const text = `[Interface]\nListenPort = 9\nFwMark = 7\nPrivateKey = ${KEYS[2]}\n` +
    `[Peer]\nPublicKey = ${KEYS[0]}\nPresharedKey = ${KEYS[1]}\nAllowedIPs = 10.0.0.0/8, fd00::/8\n` +
    `PersistentKeepalive = 5\n[Peer]\nPublicKey = ${KEYS[1]}\n`;
  const running = made(text);
  const [peer] = running.peers;
  delete peer!.presharedKey;
  peer!.persistentKeepalive = 0;
  peer!.allowedIps.pop();
  const { differences, change } = changeOf(text, [text], {
    ...running,
    listenPort: 8,
    fwmark: 0,
    privateKey: parseKey(KEYS[0]!)!,
    peers: [peer!],
  });
  deepEqual(differences, [
    "its private key is another one",
    "its UDP port is 8, not 9",
    "its mark is off, not 7",
    `peer ${KEYS[0]}: its preshared key is gone`,
    `peer ${KEYS[0]}: its persistent keepalive is off, not 5`,
    `peer ${KEYS[0]}: its allowed IPs lack fd00::/8`,
    `peer ${KEYS[1]} is gone`,
  ]);
  ok(
    !change.peers.some(({ replaceAllowedIps, publicKey }) =>
      replaceAllowedIps && publicKey === peer!.publicKey
    ),
  );
});

Deno.test("wgChange(): of two peers with one network, the last one has it, without a difference", () => {
  const text = KEYS.map((key) => `[Peer]\nPublicKey = ${key}\nAllowedIPs = 10.0.0.0/8\n`).join("");
  const running = made(text);
  deepEqual(running.peers.map(({ allowedIps }) => allowedIps.length), [0, 0, 1]);
  deepEqual(changeOf(text, [text], running).lines, []);
});

Deno.test("endpointsToLookUp() returns only endpoints that the file has changed, since peers roam", () => {
  const peer = (endpoint: string) => `[Peer]\nPublicKey = ${KEYS[0]}\nEndpoint = ${endpoint}:1\n`;
  const running = made(peer("a.example"));
  running.peers[0]!.endpoint = { family: 4, address: new Uint8Array([192, 0, 2, 1]), port: 1, scope: 0 };
  const asked = (text: string, before: string[], state = running) =>
    endpointsToLookUp({
      config: parseWgConfig(text),
      wanted: applied(text),
      before: before.map((one) => applied(one)),
      running: state,
      hash,
    }).size;
  equal(asked(peer("a.example"), [peer("a.example")]), 0);
  equal(asked(peer("b.example"), [peer("a.example")]), 1);
  equal(
    asked(peer("b.example"), [peer("a.example"), peer("b.example")]),
    1,
    "the name is looked up again after a reload that was killed",
  );
  equal(asked(peer("a.example"), []), 1, "the name is looked up if nothing is recorded");
  equal(asked(peer("a.example"), [peer("a.example")], made("")), 1, "a peer that is gone");
});
