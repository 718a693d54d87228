import { equal, match } from "node:assert/strict";
import { PLAIN } from "../../../cli/render/colors.ts";
import { type Reading, watchLines } from "../../../cli/render/watch.ts";
import { formatKey } from "../../../core/config/key.ts";
import type { PeerState } from "../../../core/uapi/get.ts";

const key = new Uint8Array(32).fill(7);

function reading(at: number, peer: Partial<PeerState>): Reading {
  const nothing = { txBytes: 0, rxBytes: 0, persistentKeepalive: 0, allowedIps: [] };
  const state = {
    listenPort: 51820,
    fwmark: 0,
    peers: [{ publicKey: key, lastHandshake: { seconds: 0, nanoseconds: 0 }, ...nothing, ...peer }],
  };
  return { name: "wg0", at, state, names: new Map([[formatKey(key), "Anna"]]) };
}

const draw = (now: Reading, before?: Reading) => watchLines(now, before, PLAIN, String).join("\n");

Deno.test("watchLines() computes rates from the previous reading and the time since then", () => {
  const before = reading(10_000, { rxBytes: 1000, txBytes: 0 });
  const text = draw(reading(12_000, { rxBytes: 5096, txBytes: 300 }), before);
  match(text, /received {3}2\.00 KiB\/s, 4\.98 KiB in all/);
  match(text, /sent {7}150 B\/s, 300 B in all/);
});

Deno.test("watchLines() has no rate at first, and none below zero for a peer that was added again", () => {
  match(draw(reading(1, { rxBytes: 5 })), /received {3}-, 5 B in all/);
  match(draw(reading(2000, { rxBytes: 5 }), reading(1000, { rxBytes: 500 })), /received {3}0 B\/s, 5 B/);
});

Deno.test("watchLines() shows names, and the age of a handshake", () => {
  const lines = draw(reading(100_000, { lastHandshake: { seconds: 90, nanoseconds: 0 } })).split("\n");
  equal(lines[2], `Anna ${formatKey(key)}`);
  match(lines.join("\n"), /handshake {2}10 seconds ago/);
  match(draw(reading(1000, {})), /handshake {2}none yet/);
});
