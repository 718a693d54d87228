/**
 * Jobs of lanes with packets of several peers: each packet must reach its own peer, with its own key, and change only
 * that peer's state. The order in which lanes do their jobs is pseudorandom. A failure names its seed.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { formatHexKey, type Key } from "../../../core/config/key.ts";
import { parseSocketAddress } from "../../../core/config/endpoint.ts";
import { type Direction, IN, Job, OUT, RING } from "../../../core/engine/lanes/board.ts";
import { endpointWords } from "../../../core/protocol/endpoint.ts";
import type { Peer } from "../../../core/protocol/peer.ts";
import { publicKey } from "../../../core/public_key.ts";
import { parseGet } from "../../../core/uapi/get.ts";
import { VIRTIO_HEADER } from "../../../wasm/packet.ts";
import { superPacket } from "./bench_pair.ts";
import { LaneFailure } from "./memory_lanes.ts";
import { advance, Machine, MemoryWire, peerLines, PORT, seeded, settle } from "./memory_world.ts";

const LEAVES = 5;
const HEADERS = VIRTIO_HEADER + 28;

/** A hub with lanes, and its peers, which have none. */
class Star {
  readonly wire = new MemoryWire();
  readonly random: () => number;
  readonly hub: Machine;
  readonly leaves: Machine[];
  readonly #keys: Key[];
  /** What was sent to each leaf, and by each leaf to the hub. */
  readonly sent: Record<Direction, number[][]>;
  /** The maximum number of sections that a job had. */
  readonly sections: Record<Direction, number> = { [OUT]: 0, [IN]: 0 };

  constructor(lanes: number, seed = 1) {
    this.random = seeded(seed);
    this.hub = new Machine(this.wire, "192.0.2.1", { lanes, random: this.random });
    this.leaves = Array.from({ length: LEAVES }, (_, i) => new Machine(this.wire, `192.0.2.${i + 2}`));
    this.#keys = [this.hub, ...this.leaves].map((_, i) => new Uint8Array(32).fill(seed + i + 1) as Key);
    this.sent = { [OUT]: this.leaves.map(() => []), [IN]: this.leaves.map(() => []) };
    const lines = (i: number) =>
      peerLines(publicKey(this.#keys[i]!), {
        endpoint: `192.0.2.${i + 1}:${PORT}`,
        allowed_ip: `10.0.0.${i + 1}/32`,
      });
    for (const [i, machine] of [this.hub, ...this.leaves].entries()) {
      machine.engine.start();
      const peers = i === 0 ? this.leaves.map((_, leaf) => lines(leaf + 1)).join("") : lines(0);
      const own = `private_key=${formatHexKey(this.#keys[i]!)}\nlisten_port=${PORT}\n`;
      equal(machine.ask(`set=1\n${own}${peers}\n`), "errno=0\n\n");
      machine.link.set({ up: true });
    }
    for (const i of this.leaves.keys()) this.send(OUT, i, 100);
    this.settle();
    this.start();
    // Lanes are used after a turn with many bytes.
    for (let round = 0; round < 2; round++) {
      this.sendAll(OUT);
      this.sendAll(IN);
      this.settle();
    }
  }

  get lanes() {
    return this.hub.engine.path.lanes!.lanes;
  }

  /** Starts all lanes. */
  start(): void {
    while (this.lanes.startable) this.lanes.start();
  }

  settle(): void {
    settle(this.hub, ...this.leaves);
    // If the engine waited for its lanes, it has not processed their results. On Linux it would not sleep then.
    this.hub.engine.turn();
    settle(this.hub, ...this.leaves);
    const { board } = this.hub.lanes!;
    for (const direction of [OUT, IN] as const) {
      for (let ticket = 0; ticket < RING; ticket++) {
        const sections = board.unsigned[board.job(direction, ticket) + Job.sections]!;
        this.sections[direction] = Math.max(this.sections[direction], sections);
      }
    }
  }

  /** The next packet between the hub and a leaf. */
  packet(direction: Direction, leaf: number, payload: number): Uint8Array {
    const stream = this.sent[direction][leaf]!;
    const packet = superPacket("udp", payload, Math.min(payload, 1_300));
    const addresses = [[10, 0, 0, 1], [10, 0, 0, leaf + 2]];
    packet.set((direction === OUT ? addresses : addresses.reverse()).flat(), VIRTIO_HEADER + 12);
    for (let i = HEADERS; i < packet.length; i++) {
      packet[i] = stream.length * 31 + (stream.length >> 8) + leaf;
      stream.push(packet[i]!);
    }
    return packet;
  }

  /** Sends a packet. What a leaf sends is then in the hub's socket. */
  send(direction: Direction, leaf: number, payload: number): void {
    const packet = this.packet(direction, leaf, payload);
    if (direction === OUT) return void this.hub.link.packets.waiting.push(packet);
    this.leaves[leaf]!.link.packets.waiting.push(packet);
    this.leaves[leaf]!.settle();
  }

  /** Sends packets of all leaves in turns, enough for lanes. */
  sendAll(direction: Direction): void {
    for (let i = 0; i < 8 * LEAVES; i++) this.send(direction, i % LEAVES, 900);
  }

  /** What has arrived at each leaf, and of each leaf at the hub. */
  get received(): Record<Direction, number[][]> {
    const payload = (packets: Uint8Array[]) => packets.flatMap((packet) => [...packet.subarray(HEADERS)]);
    const { written } = this.hub.link.packets;
    return {
      [OUT]: this.leaves.map(({ link }) => payload(link.packets.written)),
      [IN]: this.leaves.map((_, i) =>
        payload(written.filter((packet) => packet[VIRTIO_HEADER + 15] === i + 2))
      ),
    };
  }

  /** Bytes that the hub has sent to each leaf and that the leaf has received, and the same from the leaf to the hub. */
  get counted(): number[][] {
    return this.leaves.map(({ engine: { device } }, i) => {
      const [far] = device.peers, near = this.peer(i);
      return [near.txBytes, far!.rxBytes, far!.txBytes, near.rxBytes];
    });
  }

  /** The hub's peer that is a leaf. */
  peer(leaf: number): Peer {
    return [...this.hub.engine.device.peers][leaf]!;
  }

  /** The last number of the address of each leaf, as the hub knows it. */
  get endpoints(): number[] {
    const { peers } = parseGet(this.hub.ask("get=1\n\n"));
    return this.leaves.map((_, i) => {
      const key = formatHexKey(publicKey(this.#keys[i + 1]!));
      const peer = peers.find((peer) => formatHexKey(peer.publicKey) === key);
      return peer!.endpoint!.address[3]!;
    });
  }

  /** All drops of the hub that are not zero. */
  get drops(): Record<string, number> {
    const { device, path } = this.hub.engine;
    const all = [...Object.entries(path.drops), ...device.drops.entries()];
    return Object.fromEntries(all.filter(([, count]) => count > 0));
  }
}

const HOME = [2, 3, 4, 5, 6];

for (const lanes of [1, 3]) {
  for (const keys of ["enough handles", "too few handles at times"] as const) {
    Deno.test(`packets of several peers in one job reach their peers in order, with ${lanes} lanes and ${keys}`, () => {
      for (let seed = 1; seed <= 4; seed++) {
        const star = new Star(lanes, seed);
        const { random, wire, hub } = star;
        const { share } = star.lanes.keys;
        if (keys !== "enough handles") {
          star.lanes.keys.share = (...session) =>
            random() < 0.05 ? -1 : share.apply(star.lanes.keys, session);
        }
        const counters = new Set<string>();
        let datagrams = 0;
        wire.tap = (train, segment) => {
          const view = new DataView(train.buffer, train.byteOffset);
          for (let at = 0; at < train.length; at += segment) {
            if (train[at] !== 4) continue;
            datagrams++;
            counters.add(`${view.getUint32(at + 4, true)} ${view.getBigUint64(at + 8, true)}`);
          }
        };
        for (let round = 0; round < 12; round++) {
          // All of them use their sessions, so that the next rounds begin none.
          if (round % 4 === 0) { for (const direction of [OUT, IN] as const) star.sendAll(direction); }
          const before = star.counted;
          for (const direction of [OUT, IN] as const) {
            for (let i = random() * 120; i > 0; i--) {
              const payload = 20 + random() * (random() < 0.05 ? 40_000 : 1_200);
              star.send(direction, Math.floor(random() * LEAVES), Math.floor(payload));
            }
          }
          for (let turns = random() * 4; turns > 0; turns--) hub.engine.turn();
          star.settle();
          // A new session begins with messages that are not answered.
          if (round % 4 !== 0) {
            const passed = star.counted.map((counts, i) => counts.map((count, j) => count - before[i]![j]!));
            for (const [sent, received, answered, got] of passed) {
              deepEqual([received, got], [sent, answered], `seed ${seed}, bytes`);
            }
          }
          // New sessions during the traffic.
          if (round % 4 === 3) {
            advance(121_000, hub, ...star.leaves);
            star.start();
          }
        }
        const what = `seed ${seed}`;
        const { received } = star;
        for (const direction of [OUT, IN] as const) {
          for (let leaf = 0; leaf < LEAVES; leaf++) {
            ok(
              deepEqualBytes(received[direction][leaf]!, star.sent[direction][leaf]!),
              `${what}, direction ${direction}, leaf ${leaf}`,
            );
          }
          ok(star.sections[direction] > LEAVES, `${star.sections[direction]} sections: nothing was tried`);
        }
        equal(counters.size, datagrams, `${what}: a counter was used twice`);
        deepEqual(star.drops, {}, what);
        deepEqual(star.endpoints, HOME, what);
      }
    });
  }
}

function deepEqualBytes(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

Deno.test("a forged train moves no endpoint, and an authentic one in the same job moves only its peer's", () => {
  const star = new Star(2);
  star.sendAll(IN);
  const { inbox } = star.hub.sockets.last!;
  const elsewhere = (last: number) => endpointWords(parseSocketAddress(`192.0.2.${last}:${PORT}`)!);
  equal(inbox.length, 8 * LEAVES);
  inbox[5 * LEAVES]!.from = elsewhere(70);
  inbox[5 * LEAVES]!.bytes[20]! ^= 1;
  inbox[7 * LEAVES + 1]!.from = elsewhere(71);
  const before = star.hub.link.packets.written.length;
  star.settle();
  ok(star.sections[IN] > LEAVES);
  deepEqual(star.endpoints, [2, 71, 4, 5, 6]);
  deepEqual(star.drops, { badTag: 1 });
  equal(packetsAfter(star, before), 8 * LEAVES - 1);
});

/** The number of packets of 900 bytes that the hub has written, joined or not. */
function packetsAfter({ hub: { link } }: Star, before: number): number {
  const bytes = link.packets.written.slice(before).reduce((sum, packet) => sum + packet.length - HEADERS, 0);
  return bytes / 900;
}

Deno.test("copies in the same job or in another one are refused, and each datagram is accepted once", () => {
  const star = new Star(3);
  star.sendAll(IN);
  const { inbox } = star.hub.sockets.last!;
  const copies = () => inbox.map((train) => ({ ...train, bytes: train.bytes.slice() }));
  const later = copies();
  inbox.push(...copies());
  const before = star.hub.link.packets.written.length;
  star.settle();
  inbox.push(...later);
  star.settle();
  equal(packetsAfter(star, before), 8 * LEAVES);
  deepEqual(star.drops, { replayed: 2 * 8 * LEAVES });
});

Deno.test("a peer cannot send from the address of another peer whose packets are in the same job", () => {
  const star = new Star(2);
  const packet = star.packet(IN, 3, 900);
  packet[VIRTIO_HEADER + 15] = 4;
  star.leaves[3]!.link.packets.waiting.push(packet);
  star.leaves[3]!.settle();
  star.sent[IN][3]!.length -= 900;
  star.sendAll(IN);
  star.settle();
  deepEqual(star.drops, { wrongSource: 1 });
  deepEqual(
    star.received[IN].map((stream, i) => deepEqualBytes(stream, star.sent[IN][i]!)),
    HOME.map(() => true),
  );
});

Deno.test("a session without counters does not stop the others of its job, and its packets wait for the next session", () => {
  const star = new Star(2);
  advance(6_000, star.hub, ...star.leaves);
  star.hub.engine.path.wasm.skipTo(star.peer(2).keypairs.current!.slot, (1n << 64n) - (1n << 13n) - 2n);
  star.sendAll(OUT);
  star.settle();
  deepEqual(
    star.received[OUT].map((stream, i) => deepEqualBytes(stream, star.sent[OUT][i]!)),
    HOME.map(() => true),
  );
  deepEqual(star.drops, {});
});

Deno.test("what a failed lane loses is counted, and the other peers' packets of later jobs arrive", () => {
  for (let failing = 1; failing <= 6; failing++) {
    const star = new Star(2, failing);
    const { outside } = star.hub.lanes!;
    const { send, write } = outside;
    const { deliver } = star.hub.sockets.last!;
    let count = 0, sent = 0;
    outside.send = (to, bytes, segment) => {
      if (++count === 10 * failing) throw new LaneFailure();
      sent += Math.ceil(bytes.length / segment);
      return send(to, bytes, segment);
    };
    star.hub.sockets.last!.deliver = function (to, bytes, segment) {
      // What the engine sends afterwards.
      if (star.lanes.started === 0) sent += Math.ceil(bytes.length / segment);
      return deliver.call(this, to, bytes, segment);
    };
    star.sendAll(OUT);
    star.sendAll(OUT);
    star.settle();
    equal(star.lanes.started, 0);
    equal(sent + star.drops.sendError!, 16 * LEAVES, `datagram ${10 * failing}`);
    outside.write = write;
    const before = star.leaves.map(({ link }) => link.packets.written.length);
    star.sendAll(OUT);
    star.settle();
    ok(star.leaves.every(({ link }, i) => link.packets.written.length > before[i]!));
  }
});

Deno.test("trains of several peers in a failed lane are lost and counted", () => {
  for (let failing = 1; failing <= 6; failing++) {
    const star = new Star(2, failing);
    const { outside } = star.hub.lanes!;
    const { write } = outside;
    let count = 0;
    outside.write = (packet, parts) => {
      if (++count === 8 * failing) throw new LaneFailure();
      return write(packet, parts);
    };
    const before = star.hub.link.packets.written.length;
    star.sendAll(IN);
    star.sendAll(IN);
    star.settle();
    equal(star.lanes.started, 0);
    equal(packetsAfter(star, before) + star.drops.tunError!, 16 * LEAVES, `packet ${8 * failing}`);
  }
});

Deno.test("all trains of a job that a lane failed to open are counted as lost", () => {
  const star = new Star(1);
  const { wasm } = star.hub.lanes!.lanes[1]!;
  const { authenticate } = wasm;
  wasm.authenticate = () => {
    wasm.authenticate = authenticate;
    throw new LaneFailure();
  };
  const before = star.hub.link.packets.written.length;
  star.sendAll(IN);
  star.settle();
  equal(star.lanes.started, 0);
  ok(star.drops.tunError! > LEAVES);
  equal(packetsAfter(star, before) + star.drops.tunError!, 8 * LEAVES);
});

Deno.test("a few small packets of several peers use no lane", () => {
  const star = new Star(2);
  const { words } = star.hub.lanes!.board;
  const jobs = () => [words[2]!, words[3]!];
  const before = jobs();
  for (let round = 0; round < 20; round++) {
    for (const direction of [OUT, IN] as const) {
      for (let leaf = 0; leaf < LEAVES; leaf++) star.send(direction, leaf, 100);
    }
    star.settle();
  }
  deepEqual(jobs(), before);
  deepEqual(
    star.received[IN].map((stream, i) => deepEqualBytes(stream, star.sent[IN][i]!)),
    HOME.map(() => true),
  );
});

Deno.test("with long trains of several peers and too few places for jobs, no packet overtakes another of its peer", () => {
  for (const lanes of [1, 3]) {
    const star = new Star(lanes);
    for (let i = 0; i < 60; i++) star.send(OUT, i % 2, 8_000);
    // Lanes do nothing in the turns of the engine itself.
    while (star.hub.lanes!.paused.size === 0 && star.hub.link.packets.waiting.length > 0) {
      star.hub.engine.turn();
    }
    ok(star.hub.lanes!.paused.size > 0);
    star.settle();
    deepEqual(
      star.received[OUT].map((stream, i) => deepEqualBytes(stream, star.sent[OUT][i]!)),
      HOME.map(() => true),
    );
    deepEqual(star.drops, {});
  }
});

for (const direction of [OUT, IN] as const) {
  const way = direction === OUT ? "to" : "from";
  Deno.test(`a small packet ${way} a peer whose jobs are finished does not wait for those of others`, () => {
    const star = new Star(2);
    star.sendAll(direction);
    star.settle();
    ok(star.sections[direction] > LEAVES, "lanes had jobs of all peers");
    for (let i = 0; i < 6; i++) star.send(direction, 0, 60_000);
    star.send(direction, 1, 100);
    const { hub, leaves } = star;
    const before = leaves[1]!.link.packets.written.length + hub.link.packets.written.length;
    // Lanes do nothing in this turn.
    hub.engine.turn();
    ok(!star.lanes.isEmpty(direction), "lanes have jobs of the other peer");
    leaves[1]!.settle();
    equal(leaves[1]!.link.packets.written.length + hub.link.packets.written.length, before + 1);
    star.settle();
    deepEqual(star.drops, {});
  });
}

Deno.test("a job of as many trains as possible sends all of them", () => {
  const star = new Star(1);
  star.sendAll(OUT);
  star.settle();
  const { waiting } = star.hub.link.packets;
  // Each packet begins a train, because its ECN bits differ; 65 datagrams are two trains.
  const payloads = [...new Array(7).fill(65), ...new Array(56).fill(1), 1_024];
  for (const [i, payload] of payloads.entries()) {
    const packet = superPacket("udp", payload, 1);
    packet.set([10, 0, 0, 1, 10, 0, 0, 2], VIRTIO_HEADER + 12);
    packet[VIRTIO_HEADER + 1] = 1 + i % 2;
    waiting.push(packet);
  }
  let datagrams = 0;
  star.wire.tap = (train, segment) => datagrams += Math.ceil(train.length / segment);
  star.hub.settle();
  equal(datagrams, 7 * 65 + 56 + 1_024);
  deepEqual(star.drops, {});
});

Deno.test("the engine does not wait for its lanes because of datagrams that anyone can send", () => {
  const star = new Star(2);
  star.sendAll(IN);
  const { inbox } = star.hub.sockets.last!;
  const { from } = inbox[0]!;
  const strange = new Uint8Array(64);
  strange[0] = strange[32] = 4;
  strange[36] = 1;
  inbox.push({ bytes: Uint8Array.of(4), segment: 1, from }, { bytes: strange, segment: 32, from });
  const before = star.hub.link.packets.written.length;
  star.hub.engine.turn();
  equal(star.hub.link.packets.written.length, before, "no lane has done anything yet");
  star.settle();
  deepEqual(star.drops, { malformedOuter: 1, unknownIndex: 2 });
  equal(packetsAfter(star, before), 8 * LEAVES);
});
