/**
 * Traffic through lanes: what arrives, in which order, and which packets lanes get. The order in which lanes do
 * their jobs is pseudorandom. A failure names its seed.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { formatHexKey, type Key } from "../../../core/config/key.ts";
import { IN, OUT } from "../../../core/engine/lanes/board.ts";
import { publicKey } from "../../../core/public_key.ts";
import { parseGet } from "../../../core/uapi/get.ts";
import { VIRTIO_HEADER } from "../../../wasm/packet.ts";
import { superPacket } from "./bench_pair.ts";
import { begin, bulk, drops, Flows, jobs, lanesOf, pair, startAll } from "./lane_pair.ts";
import { advance, Machine, peerLines, seeded, settle } from "./memory_world.ts";

for (const lanes of [0, 1, 2, 4]) {
  Deno.test(`random traffic arrives as it was sent, in order within each flow, with ${lanes} lanes`, () => {
    for (let seed = 1; seed <= 6; seed++) {
      const made = pair(lanes, seed);
      const { near, far, wire } = made;
      begin(made);
      const random = seeded(100 + seed);
      const flows = new Flows();
      const counters = new Set<string>();
      let datagrams = 0;
      wire.tap = (train, segment) => {
        const view = new DataView(train.buffer);
        for (let at = 0; at < train.length; at += segment) {
          if (train[at] !== 4) continue;
          datagrams++;
          counters.add(`${view.getUint32(at + 4, true)} ${view.getBigUint64(at + 8, true)}`);
        }
      };
      for (let round = 0; round < 12; round++) {
        for (let i = random() * 40; i > 0; i--) {
          const flow = Math.floor(random() * 6);
          const size = 200 + Math.floor(random() * 1_100);
          const payload = Math.ceil(
            random() < 0.3 ? random() * size : random() * Math.min(64, 50_000 / size) * size,
          );
          near.link.packets.waiting.push(flows.packet(flow, flow % 2 ? "tcp" : "udp", payload, size));
        }
        // After some turns, other numbers of lanes are used, or none.
        for (let turns = random() * 6; turns > 0; turns--) for (const end of [near, far]) end.engine.turn();
        for (const end of [near, far]) if (end.lanes) lanesOf(end).use(Math.floor(random() * (lanes + 1.5)));
        settle(near, far);
        // A new session during the traffic.
        if (round % 4 === 3) {
          advance(121_000, near, far);
          startAll(near, far);
        }
      }
      const what = `seed ${seed}`;
      const received = Flows.received(far.link.packets.written);
      for (const [flow, sent] of flows.sent.entries()) {
        if (sent) equal(received[flow]?.length, sent.length, `${what}, length of flow ${flow}`);
      }
      deepEqual(received, flows.sent, what);
      equal(counters.size, datagrams, `${what}: a counter was used twice`);
      deepEqual([drops(near), drops(far)], [{}, {}], what);
      if (lanes > 0) {
        ok(jobs(near) > 20 && jobs(far) > 20, `${jobs(near)} and ${jobs(far)} jobs: nothing was tried`);
      }
    }
  });
}

for (const when of ["between two reads", "after all reads"] as const) {
  Deno.test(`a packet that lanes do not handle keeps its place in its flow, also if lanes work ${when}`, () => {
    const made = pair(1);
    const { near, far } = made;
    begin(made);
    const { packets } = near.link;
    const { read } = packets;
    if (when === "between two reads") {
      packets.read = (...place) => {
        while (near.lanes!.step());
        return read.apply(packets, place);
      };
    }
    const flows = new Flows();
    // The middle one becomes more datagrams than a job may have.
    for (const size of [1_300, 40, 1_300]) packets.waiting.push(flows.packet(0, "udp", 52_000, size));
    settle(near, far);
    deepEqual(Flows.received(far.link.packets.written), flows.sent);
  });
}

Deno.test("a small packet does not wait for the lanes' jobs of other peers, in either direction", () => {
  const made = pair(2);
  const { near, far, wire, keys } = made;
  const third = new Machine(wire, "192.0.2.3", { lanes: 2, random: seeded(9) });
  const thirdKey = new Uint8Array(32).fill(77) as Key;
  third.engine.start();
  third.ask(
    `set=1\nprivate_key=${formatHexKey(thirdKey)}\nlisten_port=51820\n` +
      peerLines(publicKey(keys[0]), { endpoint: "192.0.2.1:51820", allowed_ip: "10.0.0.1/32" }) + "\n",
  );
  third.link.set({ up: true });
  near.ask(
    `set=1\n${peerLines(publicKey(thirdKey), { endpoint: "192.0.2.3:51820", allowed_ip: "10.0.0.3/32" })}\n`,
  );
  third.settle();
  begin(made);
  const toThird = superPacket("udp", 100, 100);
  toThird[VIRTIO_HEADER + 19] = 3;
  near.link.packets.waiting.push(toThird.slice());
  settle(near, far, third);
  equal(third.link.packets.written.length, 1);

  // Lanes do nothing during the turns of the engine itself.
  const before = jobs(near);
  near.link.packets.waiting.push(...bulk(6), toThird.slice());
  near.engine.turn();
  ok(!lanesOf(near).isEmpty(OUT));
  equal(jobs(near), before, "no lane has finished a job yet");
  third.settle();
  equal(third.link.packets.written.length, 2);

  const reply = superPacket("udp", 100, 100);
  reply.set([10, 0, 0, 3, 10, 0, 0, 1], VIRTIO_HEADER + 12);
  far.link.packets.waiting.push(
    ...bulk(6).map((packet) => {
      packet.set([10, 0, 0, 2, 10, 0, 0, 1], VIRTIO_HEADER + 12);
      return packet;
    }),
  );
  settle(near, far, third);
  const written = near.link.packets.written.length;
  far.link.packets.waiting.push(
    ...bulk(6).map((packet) => {
      packet.set([10, 0, 0, 2, 10, 0, 0, 1], VIRTIO_HEADER + 12);
      return packet;
    }),
  );
  far.settle();
  third.link.packets.waiting.push(reply);
  third.settle();
  near.engine.turn();
  ok(!lanesOf(near).isEmpty(IN));
  equal(near.link.packets.written.length, written + 1);
  settle(near, far, third);
  deepEqual([drops(near), drops(far), drops(third)], [{}, {}, {}]);
});

Deno.test("data that GRO joined behind a handshake message waits for its peer's earlier trains", () => {
  const made = pair(1);
  const { near, far, wire } = made;
  begin(made);
  const flows = new Flows();
  const held: Uint8Array[] = [];
  wire.tap = (train) => void held.push(train.slice());
  near.link.packets.waiting.push(flows.packet(0, "udp", 52_000, 1_300));
  near.settle();
  near.link.packets.waiting.push(flows.packet(0, "udp", 50, 50));
  near.settle();
  const small = held.at(-1)!;
  ok(small.length < 148);
  const { inbox } = far.sockets.last!;
  const mixed = new Uint8Array(148 + small.length);
  mixed[0] = 1;
  mixed.set(small, 148);
  inbox.pop();
  near.sockets.last!.deliver(far.sockets.last!.address, mixed, 148);
  settle(near, far);
  deepEqual(Flows.received(far.link.packets.written), flows.sent);
});

Deno.test("a super-packet that does not fit one train becomes two of the same length", () => {
  const made = pair(1);
  const { near, far, wire } = made;
  begin(made);
  const trains: number[] = [];
  wire.tap = (train, segment) => {
    if (train[0] === 4 && train.length > 1_000) trains.push(Math.ceil(train.length / segment));
  };
  // 48 of 50 datagrams of 1,360 bytes would fit.
  near.link.packets.waiting.push(superPacket("udp", 65_000, 1_300));
  settle(near, far);
  deepEqual(trains, [25, 25]);
});

Deno.test("packets that a lane sends or receives are counted for the peer", () => {
  const made = pair(2);
  const { near, far } = made;
  begin(made);
  const before = [near, far].map((machine) => parseGet(machine.ask("get=1\n\n")).peers[0]!);
  near.link.packets.waiting.push(...bulk(20));
  settle(near, far);
  const after = [near, far].map((machine) => parseGet(machine.ask("get=1\n\n")).peers[0]!);
  const sent = after[0]!.txBytes - before[0]!.txBytes;
  ok(sent > 20 * 60_000);
  equal(after[1]!.rxBytes - before[1]!.rxBytes, sent);
});

Deno.test("without a free slot, the engine is not notified of packets until there is one", () => {
  const made = pair(1);
  const { near, far } = made;
  begin(made);
  near.link.packets.waiting.push(...bulk(60));
  let turns = 0;
  while (near.lanes!.paused.size === 0 && turns++ < 100) near.engine.turn();
  ok(near.lanes!.paused.size > 0);
  const waiting = near.link.packets.waiting.length;
  for (let i = 0; i < 10; i++) near.engine.turn();
  equal(near.link.packets.waiting.length, waiting);
  settle(near, far);
  equal(near.lanes!.paused.size, 0);
  equal(Flows.received(far.link.packets.written)[0]!.length, 60 * 60_000);
});

Deno.test("a device that refuses joined packets gets them one by one from lanes as well", () => {
  const made = pair(2);
  const { near, far } = made;
  begin(made);
  far.link.packets.refuse = (_, parts) => parts > 1 ? 22 : 0;
  const flows = new Flows();
  near.link.packets.waiting.push(
    ...Array.from({ length: 10 }, (_, i) => flows.packet(i % 2, i % 2 ? "tcp" : "udp", 26_000, 1_300)),
  );
  settle(near, far);
  deepEqual(Flows.received(far.link.packets.written), flows.sent);
  deepEqual(drops(far), {});
});

Deno.test("single small packets use no lane", () => {
  const made = pair(2);
  const { near, far } = made;
  begin(made);
  advance(1_000, near, far);
  const before = [jobs(near), jobs(far)];
  for (let i = 0; i < 20; i++) {
    near.link.packets.waiting.push(superPacket("udp", 100, 100));
    settle(near, far);
  }
  deepEqual([jobs(near), jobs(far)], before);
  equal(far.link.packets.written.length, 20);
});
