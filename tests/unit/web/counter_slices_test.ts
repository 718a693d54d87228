/**
 * Counters that the keeper hands out in slices.
 *
 * @module
 */

import { deepEqual, equal, throws } from "node:assert/strict";
import { CounterSlices } from "../../../core/web/keeper/counter_slices.ts";
import type { CounterSlice, PeerCounters } from "../../../core/web/keeper/verbs.ts";

function peers(count: number, word = "peer"): PeerCounters[] {
  return Array.from({ length: count }, (_, at) => ({
    publicKey: `${word} ${at}`,
    endpoint: null,
    lastHandshakeAt: 0,
    rxBytes: at,
    txBytes: 0,
  }));
}

function readOn(all: CounterSlices, caller: object, first: CounterSlice): readonly CounterSlice[] {
  const slices = [first];
  for (let { rest } = first; rest !== null;) slices.push({ rest } = all.more(caller, rest));
  return slices;
}

Deno.test("counters come in slices of a thousand, each peer once", () => {
  const all = new CounterSlices();
  const caller = {};
  for (const count of [0, 1, 1_000, 1_001, 3_456]) {
    const slices = readOn(all, caller, all.begin(caller, peers(count)));
    const keys = slices.flatMap((slice) => slice.peers.map(({ publicKey }) => publicKey));
    deepEqual(keys.sort(), peers(count).map(({ publicKey }) => publicKey).sort());
    equal(slices.length, Math.max(1, Math.ceil(count / 1_000)));
  }
});

Deno.test("the counters of a connection belong to it, and two readings of it run side by side", () => {
  const all = new CounterSlices();
  const [web, other] = [{}, {}];
  const first = all.begin(web, peers(2_500, "first"));
  const second = all.begin(web, peers(1_500, "second"));
  throws(() => all.more(other, first.rest!), /no longer there/);
  equal(readOn(all, web, first).length, 3);
  equal(readOn(all, web, second).length, 2);
  throws(() => all.more(web, first.rest!), /no longer there/);
});

Deno.test("readings that a connection leaves do not stay in memory", () => {
  const all = new CounterSlices();
  const [web, other] = [{}, {}];
  const left = Array.from({ length: 5 }, () => all.begin(web, peers(1_001)).rest!);
  const others = all.begin(other, peers(1_001)).rest!;
  const isThere = (caller: object, rest: number) => {
    try {
      return all.more(caller, rest).peers.length === 1;
    } catch {
      return false;
    }
  };
  deepEqual(left.map((rest) => isThere(web, rest)), [false, false, false, true, true]);
  const last = all.begin(web, peers(1_001)).rest!;
  all.endOf(web);
  equal(isThere(web, last), false);
  equal(isThere(other, others), true);
});
