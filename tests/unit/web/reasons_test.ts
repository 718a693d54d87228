/**
 * Why a device does not connect: one rule a line.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { type Facts, reasonsOf } from "../../../core/web/live/reasons.ts";
import { MESSAGES as ENGLISH } from "../../../core/web/page/messages/en.ts";
import { MESSAGES as GERMAN } from "../../../core/web/page/messages/de.ts";

const NOW = Date.UTC(2026, 0, 31, 12);
const HOUR = 3_600_000;
const COUNTERS = { publicKey: "", endpoint: null, lastHandshakeAt: 0, rxBytes: 0, txBytes: 0 };
const DEVICE = {
  id: "",
  network: { id: "", name: "wg0", interface: "wg0" },
  name: "phone",
  owner: null,
  publicKey: "",
  addresses: ["10.8.0.2"],
  routedNetworks: [],
  disabledAt: null,
  reason: null,
  expiresAt: null,
  cut: null,
  createdAt: 0,
  lastHandshakeAt: 0,
  endpoint: null,
  rxBytes: 0,
  txBytes: 0,
} as const;
const FACTS: Facts = {
  device: DEVICE,
  network: {
    id: "",
    name: "wg0",
    interface: "wg0",
    addresses: [],
    endpoint: "vpn.example:51820",
    dns: [],
    allowedIps: [],
    mtu: null,
    keepalive: null,
    publicKey: "",
    listenPort: 51820,
    createdAt: 0,
  },
  counters: COUNTERS,
  rxLast: 0,
  unknownKeyAt: 0,
  wrongServerKeyAt: 0,
  now: NOW,
};
const before = NOW - HOUR;

const CASES: readonly (readonly [what: string, facts: Partial<Facts>, codes: readonly string[]])[] = [
  ["it never called", {}, ["never-called"]],
  ["somebody calls with a key that is none of ours", { unknownKeyAt: NOW - 1_000 }, [
    "wrong-key",
    "never-called",
  ]],
  ["somebody called with such a key an hour ago", { unknownKeyAt: before }, ["never-called"]],
  ["somebody has another key of the server", { wrongServerKeyAt: NOW }, ["wrong-server-key", "never-called"]],
  ["it calls, and does not hear the answer", { counters: { ...COUNTERS, rxBytes: 444 } }, ["no-answer"]],
  ["it expired", { device: { ...DEVICE, cut: "expired", expiresAt: before } }, ["expired"]],
  ["it is disabled", { device: { ...DEVICE, cut: "disabled" } }, ["disabled"]],
  ["its owner is disabled", { device: { ...DEVICE, cut: "user-disabled" } }, ["user-disabled"]],
  ["its owner lost the network", { device: { ...DEVICE, cut: "no-access" } }, ["no-access"]],
  ["the interface has no such peer", { counters: undefined }, ["missing"]],
  ["the interface is gone", { counters: null }, ["interface-down"]],
  ["it was here and went away", {
    device: { ...DEVICE, lastHandshakeAt: before },
    counters: { ...COUNTERS, lastHandshakeAt: before, rxBytes: 5_000 },
    rxLast: 5_000,
  }, ["silent"]],
  ["it was here and calls in vain", {
    counters: { ...COUNTERS, lastHandshakeAt: before, rxBytes: 5_148 },
    rxLast: 5_000,
  }, ["no-answer"]],
  ["after the handshake nothing came", {
    counters: { ...COUNTERS, lastHandshakeAt: NOW - 60_000, rxBytes: 180 },
  }, ["nothing-after-handshake"]],
  ["it is connected", { counters: { ...COUNTERS, lastHandshakeAt: NOW - 60_000, rxBytes: 9_000 } }, []],
];

for (const [what, facts, codes] of CASES) {
  Deno.test(`why a device does not connect: ${what}`, () => {
    const reasons = reasonsOf({ ...FACTS, ...facts });
    deepEqual(reasons.map(({ code }) => code), codes);
    for (const { text } of reasons) ok(!/[{}]|undefined/.test(text), text);
  });
}

Deno.test("both languages have every reason, with the same values", () => {
  const values = (message: unknown) => [...JSON.stringify(message).matchAll(/\{\w+\}/g)].map(String).sort();
  deepEqual(Object.keys(GERMAN), Object.keys(ENGLISH));
  for (const [key, message] of Object.entries(ENGLISH)) {
    deepEqual(
      [...new Set(values(GERMAN[key as keyof typeof GERMAN]))],
      [...new Set(values(message))],
      key,
    );
    equal(GERMAN[key as keyof typeof GERMAN] === "", false, key);
  }
});
