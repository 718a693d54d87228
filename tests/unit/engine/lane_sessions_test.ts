/**
 * Sessions in lanes: when their keys are copied and erased, and when their counters are used up.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { formatHexKey } from "../../../core/config/key.ts";
import { publicKey } from "../../../core/public_key.ts";
import { superPacket } from "./bench_pair.ts";
import { begin, bulk, drops, Flows, jobs, keysIn, lanesOf, pair } from "./lane_pair.ts";
import { advance, type Machine, type MemoryWire, settle } from "./memory_world.ts";

for (
  const [what, request] of [
    ["a peer is removed", (key: string) => `set=1\npublic_key=${key}\nremove=true\n\n`],
    ["the private key changes", () => `set=1\nprivate_key=${"42".repeat(32)}\n\n`],
  ] as const
) {
  Deno.test(`when ${what}, lanes have no copy of its keys and send nothing more`, () => {
    const made = pair(3);
    const { near, far, wire } = made;
    begin(made);
    near.link.packets.waiting.push(...bulk(30));
    near.engine.turn();
    equal(near.ask(request(formatHexKey(publicKey(made.keys[1])))), "errno=0\n\n");
    let sent = 0;
    wire.tap = (train) => sent += train[0] === 4 ? 1 : 0;
    near.settle();
    near.link.packets.waiting.push(...bulk(8));
    near.settle();
    equal(sent, 0);
    // The private key's change only ends sending: what the peer sends can still be opened.
    if (what === "a peer is removed") deepEqual(keysIn(near), []);
    // Timers of a removed peer would find no peer.
    advance(30_000, near, far);
  });
}

Deno.test("lanes have keys while there is traffic, and none when the interface is down", () => {
  const made = pair(2);
  const { near, far } = made;
  begin(made);
  equal(keysIn(near).length, 3);
  near.link.packets.waiting.push(...bulk(30));
  near.engine.turn();
  near.link.set({ up: false });
  near.settle();
  deepEqual(keysIn(near), []);
  near.link.set({ up: true });
  advance(1_000, near, far);
  near.link.packets.waiting.push(superPacket("udp", 100, 100));
  settle(near, far);
  far.link.packets.written.length = 0;
  near.link.packets.waiting.push(...bulk(30));
  settle(near, far);
  equal(Flows.received(far.link.packets.written)[0]!.length, 30 * 60_000, "it works again");
});

Deno.test("an engine that closes ends its lanes and leaves no key in them", () => {
  const made = pair(3);
  const { near } = made;
  begin(made);
  near.link.packets.waiting.push(...bulk(30));
  near.engine.turn();
  near.engine.close();
  deepEqual(keysIn(near), []);
  equal(lanesOf(near).started, 0);
});

/** Moves the counter of a machine's sending session forward, because 2^60 messages cannot be sent. */
function skipTo({ engine: { device, path } }: Machine, counter: bigint): void {
  const [peer] = device.peers;
  path.wasm.skipTo(peer!.keypairs.current!.slot, counter);
}

/** Initiations on the wire. */
function countInitiations(wire: MemoryWire): { count: number } {
  const counted = { count: 0 };
  wire.tap = (bytes) => counted.count += bytes[0] === 1 ? 1 : 0;
  return counted;
}

Deno.test("after 2^60 messages of lanes, a new session is requested, and all packets arrive (whitepaper §6.1)", () => {
  const made = pair(2);
  const { near, far, wire } = made;
  begin(made);
  const before = jobs(near);
  const initiations = countInitiations(wire);
  skipTo(near, (1n << 60n) - 100n);
  near.link.packets.waiting.push(...bulk(2));
  settle(near, far);
  equal(initiations.count, 0);
  // Initiations are at least 5 seconds apart.
  advance(6_000, near, far);
  near.link.packets.waiting.push(...bulk(8));
  settle(near, far);
  equal(initiations.count, 1);
  ok(jobs(near) > before + 2);
  equal(Flows.received(far.link.packets.written)[0]!.length, 10 * 60_000);
});

for (const lanes of [0, 2]) {
  for (const left of [94, 100, 140, 5]) {
    Deno.test(`a session with ${left} counters left uses each once, and further packets wait for the next session, with ${lanes} lanes`, () => {
      const made = pair(lanes);
      const { near, far, wire } = made;
      begin(made);
      advance(6_000, near, far);
      far.link.packets.written.length = 0;
      const reject = (1n << 64n) - (1n << 13n) - 1n;
      const used: bigint[] = [];
      wire.tap = (train, segment) => {
        const view = new DataView(train.buffer, train.byteOffset);
        for (let at = 0; at < train.length; at += segment) {
          if (train[at] === 4) used.push(view.getBigUint64(at + 8, true));
        }
      };
      skipTo(near, reject - BigInt(left));
      const flows = new Flows();
      // Super-packets of 47 datagrams each. If the last counter is in the middle of one, no part of it may be sent
      // twice.
      const count = Math.floor(left / 47) + 2;
      for (let i = 0; i < count; i++) near.link.packets.waiting.push(flows.packet(0, "udp", 60_000, 1_300));
      settle(near, far);
      deepEqual(Flows.received(far.link.packets.written), flows.sent);
      deepEqual([drops(near), drops(far)], [{}, {}]);
      const last = used.filter((counter) => counter > 1n << 60n);
      equal(new Set(last).size, last.length);
      ok(last.every((counter) => counter < reject));
      equal(last.length, left - left % 47);
    });
  }
}
