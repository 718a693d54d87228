/**
 * Engines whose packets are sealed and opened by lanes. The order in which lanes do their jobs is pseudorandom. A
 * failure names its seed.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { formatHexKey, type Key } from "../../../core/config/key.ts";
import { BoardWord, IN, LaneWord, OUT } from "../../../core/engine/lanes/board.ts";
import { KEYS_BYTES } from "../../../core/engine/lanes/slots.ts";
import { publicKey } from "../../../core/public_key.ts";
import { parseGet } from "../../../core/uapi/get.ts";
import { VIRTIO_HEADER } from "../../../wasm/packet.ts";
import { superPacket } from "./bench_pair.ts";
import { LaneFailure } from "./memory_lanes.ts";
import { advance, introduce, Machine, MemoryWire, peerLines, seeded, settle } from "./memory_world.ts";

interface Pair {
  near: Machine;
  far: Machine;
  wire: MemoryWire;
  keys: readonly [Key, Key];
}

/** Two machines with lanes, each the other's peer. Both interfaces are up. */
function pair(lanes: number, seed = 1): Pair {
  const wire = new MemoryWire();
  const random = seeded(seed);
  const near = new Machine(wire, "192.0.2.1", { lanes, random }),
    far = new Machine(wire, "192.0.2.2", { lanes, random });
  const keys = [0, 1].map((i) => new Uint8Array(32).fill(seed + i + 1) as Key) as [Key, Key];
  introduce([near, far], keys);
  return { near, far, wire, keys };
}

function lanesOf({ engine }: Machine) {
  return engine.path.lanes!.lanes;
}

/** Starts all lanes. The first packets make a session and cause enough traffic for lanes. */
function begin({ near, far }: Pair): void {
  near.link.packets.waiting.push(superPacket("udp", 100, 100));
  settle(near, far);
  startAll(near, far);
  for (let i = 0; i < 2; i++) {
    near.link.packets.waiting.push(...bulk(4));
    settle(near, far);
  }
  far.link.packets.written.length = 0;
}

function startAll(...machines: Machine[]): void {
  for (const machine of machines) {
    if (!machine.lanes) continue;
    while (lanesOf(machine).startable) lanesOf(machine).start();
    equal(lanesOf(machine).started, machine.lanes.limit);
  }
}

function bulk(count: number): Uint8Array[] {
  return Array.from({ length: count }, () => superPacket("udp", 60_000, 1_300));
}

/** Jobs that lanes did, including the engines' own. */
function jobs(machine: Machine): number {
  const { board } = machine.lanes!;
  return board.words[BoardWord.head + OUT]! + board.words[BoardWord.head + IN]!;
}

/** Packets of flows. The payload contains the position in the flow. */
class Flows {
  readonly sent: number[][] = [];

  /** The next packet of a flow. */
  packet(flow: number, protocol: "tcp" | "udp", payload: number, size: number): Uint8Array {
    const stream = this.sent[flow] ??= [];
    const packet = superPacket(protocol, payload, size, 5_000 + flow);
    const headers = VIRTIO_HEADER + 20 + (protocol === "tcp" ? 20 : 8);
    if (protocol === "tcp") new DataView(packet.buffer).setUint32(VIRTIO_HEADER + 24, stream.length);
    for (let i = 0; i < payload; i++) {
      packet[headers + i] = stream.length * 31 + (stream.length >> 8) + flow;
      stream.push(packet[headers + i]!);
    }
    return packet;
  }

  /** What arrived of each flow, in order. */
  static received(written: readonly Uint8Array[]): number[][] {
    const flows: number[][] = [];
    for (const packet of written) {
      const transport = packet[VIRTIO_HEADER + 9] === 6 ? 20 : 8;
      const flow = (packet[VIRTIO_HEADER + 20]! << 8 | packet[VIRTIO_HEADER + 21]!) - 5_000;
      const stream = flows[flow] ??= [];
      for (const byte of packet.subarray(VIRTIO_HEADER + 20 + transport)) stream.push(byte);
    }
    return flows;
  }
}

/** All drops of a machine that are not zero. */
function drops({ engine: { device, path } }: Machine): Record<string, number> {
  const all = [...Object.entries(path.drops), ...device.drops.entries()];
  return Object.fromEntries(all.filter(([, count]) => count > 0));
}

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

Deno.test("a datagram is accepted once, whichever lane gets its copies", () => {
  const made = pair(4);
  const { near, far, wire } = made;
  begin(made);
  const trains: [Uint8Array, number][] = [];
  wire.tap = (train, segment) => {
    if (train[0] === 4) trains.push([train.slice(), segment]);
  };
  near.link.packets.waiting.push(...bulk(12));
  settle(near, far);
  wire.tap = () => {};
  const written = far.link.packets.written.length;
  let copies = 0;
  for (let i = 0; i < 3; i++) {
    for (const [train, segment] of trains) {
      near.sockets.last!.deliver(far.sockets.last!.address, train.slice(), segment);
      copies += Math.ceil(train.length / segment);
    }
  }
  settle(near, far);
  equal(far.link.packets.written.length, written);
  ok(copies > 600);
  equal(drops(far).replayed, copies);
});

Deno.test("a copy that arrives while its original is in a lane is refused", () => {
  for (let seed = 1; seed < 20; seed++) {
    const made = pair(3, seed);
    const { near, far, wire } = made;
    begin(made);
    let datagrams = 0;
    wire.tap = () => {};
    const { deliver } = near.sockets.last!;
    near.lanes!.outside.send = (to, bytes, segment) => {
      datagrams += Math.ceil(bytes.length / segment);
      deliver.call(near.sockets.last!, to, bytes.slice(), segment);
      deliver.call(near.sockets.last!, to, bytes.slice(), segment);
      return 0;
    };
    const flows = new Flows();
    near.link.packets.waiting.push(
      ...Array.from({ length: 16 }, () => flows.packet(0, "udp", 52_000, 1_300)),
    );
    settle(near, far);
    equal(drops(far).replayed, datagrams);
    equal(Flows.received(far.link.packets.written)[0]!.length, flows.sent[0]!.length);
  }
});

Deno.test("a forged train moves no endpoint and touches no timer, and an authentic one does when its lane has opened it", () => {
  const made = pair(2);
  const { near, far, wire } = made;
  begin(made);
  const trains: [Uint8Array, number][] = [];
  near.lanes!.outside.send = (_, bytes, segment) => {
    trains.push([bytes.slice(), segment]);
    return 0;
  };
  near.link.packets.waiting.push(...bulk(8));
  settle(near, far);
  ok(trains.length >= 8);
  const elsewhere = new Machine(wire, "192.0.2.9");
  elsewhere.engine.start();
  elsewhere.link.set({ up: true });
  elsewhere.settle();
  const endpoint = () => parseGet(far.ask("get=1\n\n")).peers[0]!.endpoint;
  const before = endpoint();
  for (const [train, segment] of trains) {
    const forged = train.slice();
    for (let at = 20; at < forged.length; at += segment) forged[at]! ^= 1;
    elsewhere.sockets.last!.deliver(far.sockets.last!.address, forged, segment);
  }
  settle(far);
  deepEqual(endpoint(), before);
  const forgeries = drops(far).badTag!;
  ok(forgeries > 300);
  for (const [train, segment] of trains) {
    elsewhere.sockets.last!.deliver(far.sockets.last!.address, train, segment);
  }
  settle(far);
  deepEqual(endpoint()?.address, Uint8Array.of(192, 0, 2, 9));
  equal(drops(far).badTag, forgeries);
});

Deno.test("a source that was removed from a peer is refused at once, even in trains that were in the ring", () => {
  const made = pair(3);
  const { near, far } = made;
  begin(made);
  near.link.packets.waiting.push(...bulk(8));
  near.settle();
  ok(far.sockets.last!.inbox.length > 0);
  // Some packets are in lanes when the request is read.
  far.engine.turn();
  const reply = far.ask(
    `set=1\n${
      peerLines(publicKey(made.keys[0]), { replace_allowed_ips: "true", allowed_ip: "10.0.0.77/32" })
    }\n`,
  );
  equal(reply, "errno=0\n\n");
  far.link.packets.written.length = 0;
  near.link.packets.waiting.push(...bulk(8));
  settle(near, far);
  equal(far.link.packets.written.length, 0);
  ok(drops(far).wrongSource! > 300);
});

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

/** Where lanes still have 32 bytes of a key that is not zero. */
function keysIn({ lanes }: Machine): number[] {
  const found: number[] = [];
  const board = lanes!.board;
  for (const lane of lanes!.lanes) {
    if (!lane) continue;
    const at = board.unsigned[board.lane(lane.number) + LaneWord.keys]!;
    const table = lane.wasm.memory.bytes.subarray(at, at + KEYS_BYTES);
    if (table.some((byte) => byte !== 0)) found.push(lane.number);
  }
  return found;
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

Deno.test("after a lane fails, the engine works without it and logs this", () => {
  for (let failing = 1; failing <= 3; failing++) {
    const made = pair(3);
    const { near, far } = made;
    begin(made);
    const lane = near.lanes!.lanes[failing]!;
    const { sealBatch } = lane.wasm;
    lane.wasm.sealBatch = () => {
      throw new LaneFailure();
    };
    near.link.packets.waiting.push(...bulk(40));
    settle(near, far);
    lane.wasm.sealBatch = sealBatch;
    equal(lanesOf(near).started, 0);
    equal(near.log.filter((message) => /a lane failed/.test(message)).length, 1);
    ok(drops(near).sendError! > 0, "what it had is lost, and counted");
    far.link.packets.written.length = 0;
    near.link.packets.waiting.push(...bulk(5));
    settle(near, far);
    equal(Flows.received(far.link.packets.written)[0]!.length, 5 * 60_000);
    ok(!lanesOf(near).startable);
  }
});

Deno.test("datagrams that a socket refuses in a lane are lost and counted, and the others stay in order", () => {
  for (let seed = 1; seed <= 5; seed++) {
    const made = pair(3, seed);
    const { near, far } = made;
    begin(made);
    const before = parseGet(near.ask("get=1\n\n")).peers[0]!.txBytes;
    const { send } = near.lanes!.outside;
    const left: bigint[] = [];
    let trains = 0, all = 0, refused = 0;
    near.lanes!.outside.send = (to, bytes, segment) => {
      const datagrams = Math.ceil(bytes.length / segment);
      all += datagrams;
      // EAGAIN for a train, or for the last of its datagrams that are sent one by one.
      const lost = [0, 0, datagrams, 3][trains++ % 4]!;
      refused += lost;
      if (lost === datagrams) return lost;
      const end = (datagrams - lost) * segment;
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      for (let at = 0; at < Math.min(end, bytes.length); at += segment) {
        left.push(view.getBigUint64(at + 8, true));
      }
      send(to, bytes.subarray(0, end), segment);
      return lost;
    };
    near.link.packets.waiting.push(...bulk(30));
    settle(near, far);
    equal(all, 30 * 47);
    ok(refused > 100);
    deepEqual(drops(near), { sendError: refused });
    equal(left.length, all - refused);
    ok(left.every((counter, i) => i === 0 || counter > left[i - 1]!), "in order");
    deepEqual(drops(far), {}, "each arrived once");

    // If nothing of a job was sent, nothing was sent to the peer.
    const sent = parseGet(near.ask("get=1\n\n")).peers[0]!.txBytes;
    ok(sent > before);
    near.lanes!.outside.send = (_, bytes, segment) => Math.ceil(bytes.length / segment);
    near.link.packets.waiting.push(...bulk(4));
    settle(near, far);
    equal(parseGet(near.ask("get=1\n\n")).peers[0]!.txBytes, sent);
    equal(drops(near).sendError, refused + 4 * 47);
  }
});

Deno.test("packets that the device refuses in a lane are lost and counted as the packets they were joined from", () => {
  const made = pair(3);
  const { near, far } = made;
  begin(made);
  let writes = 0, refused = 0, accepted = 0;
  far.link.packets.refuse = (_, parts) => {
    // EAGAIN, ENOBUFS, EIO.
    const errno = [0, 0, 11, 0, 105, 0, 5][writes++ % 7]!;
    if (errno !== 0) refused += parts;
    else accepted += parts;
    return errno;
  };
  near.link.packets.waiting.push(...bulk(30));
  settle(near, far);
  ok(refused > 100);
  equal(accepted + refused, 30 * 47);
  deepEqual(drops(far), { tunError: refused });
  ok(far.engine.path.features.states().every(({ feature, on }) => on || feature === "wide"));
});

Deno.test("a lane that fails while it sends does not stop the others, and unsent packets are counted", () => {
  for (let failing = 1; failing <= 8; failing++) {
    const made = pair(2, failing);
    const { near, far } = made;
    begin(made);
    const { send } = near.lanes!.outside;
    let count = 0, sent = 0;
    near.lanes!.outside.send = (to, bytes, segment) => {
      if (++count === failing) throw new LaneFailure();
      sent += Math.ceil(bytes.length / segment);
      return send(to, bytes, segment);
    };
    const { deliver } = near.sockets.last!;
    near.sockets.last!.deliver = function (to, bytes, segment) {
      // Packets that the engine sends afterwards.
      if (lanesOf(near).started === 0) sent += Math.ceil(bytes.length / segment);
      return deliver.call(this, to, bytes, segment);
    };
    near.link.packets.waiting.push(...bulk(40));
    settle(near, far);
    equal(lanesOf(near).started, 0);
    equal(sent + drops(near).sendError!, 40 * 47, `train ${failing}`);
    far.link.packets.written.length = 0;
    near.link.packets.waiting.push(...bulk(5));
    settle(near, far);
    equal(Flows.received(far.link.packets.written)[0]!.length, 5 * 60_000);
  }
});

Deno.test("a lane that fails while it writes does not stop the others, and unwritten packets are counted", () => {
  for (let failing = 1; failing <= 8; failing++) {
    const made = pair(2, failing);
    const { near, far } = made;
    begin(made);
    const { write } = far.lanes!.outside;
    let count = 0, written = 0;
    far.lanes!.outside.write = (packet, parts) => {
      if (++count === failing) throw new LaneFailure();
      return write(packet, parts);
    };
    far.link.packets.refuse = (_, parts) => {
      written += parts;
      return 0;
    };
    near.link.packets.waiting.push(...bulk(40));
    settle(near, far);
    equal(lanesOf(far).started, 0);
    equal(written + drops(far).tunError!, 40 * 47, `packet ${failing}`);
  }
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

Deno.test("lanes end after some time without traffic, and the replay windows are kept", () => {
  const made = pair(2);
  const { near, far, wire } = made;
  begin(made);
  const trains: [Uint8Array, number][] = [];
  wire.tap = (train, segment) => {
    if (train[0] === 4) trains.push([train.slice(), segment]);
  };
  near.link.packets.waiting.push(...bulk(8));
  settle(near, far);
  wire.tap = () => {};
  lanesOf(far).stop();
  deepEqual(keysIn(far), []);
  settle(near, far);
  const written = far.link.packets.written.length;
  for (const [train, segment] of trains) {
    near.sockets.last!.deliver(far.sockets.last!.address, train, segment);
  }
  settle(near, far);
  equal(far.link.packets.written.length, written);
  ok(drops(far).replayed! > 300);
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
