import { deepEqual, equal, ok } from "node:assert/strict";
import fc from "fast-check";
import { MAX_PAYLOAD4, MAX_SEGMENTS, TRAIN_CAPACITY } from "../../../core/engine/train.ts";
import { BenchPair, superPacket } from "./bench_pair.ts";
import { VIRTIO_HEADER } from "../../../wasm/packet.ts";

const IP_AND_UDP = 28;
const OVERHEAD = 32;

/** A UDP packet that is not a super-packet, with its number as its port. */
function single(payload: number, number: number): Uint8Array {
  const packet = superPacket("udp", payload, payload, number);
  packet.fill(0, 0, VIRTIO_HEADER);
  return packet;
}

/** Trains that left the near end when it was given packets in one turn, as lists of the sizes of their datagrams. */
function trains(...packets: Uint8Array[]): { pair: BenchPair; sizes: number[][] } {
  const pair = new BenchPair();
  // Not joined, so that what arrives is what was sent.
  pair.far.path.join = 0;
  // The first packet begins the session.
  pair.send(single(1, 1));
  pair.far.tun.written.length = 0;
  const { near } = pair;
  near.tun.waiting.push(...packets);
  while (near.tun.waiting.length > 0) near.turn(pair.now);
  const sizes = near.socket.other!.inbox.map(({ bytes, segment }) => {
    const whole = Math.ceil(bytes.length / segment);
    return Array.from({ length: whole }, (_, i) => Math.min(segment, bytes.length - i * segment));
  });
  pair.settle();
  return { pair, sizes };
}

Deno.test("train: small packets that wait together leave together", () => {
  const { pair, sizes } = trains(...Array.from({ length: 10 }, (_, i) => single(64, i + 1)));
  deepEqual(sizes, [Array(10).fill(64 + IP_AND_UDP + 4 + OVERHEAD)]);
  equal(pair.far.tun.written.length, 10);
});

Deno.test("train: the rest of one super-packet is sent with the next one", () => {
  // 47 segments of 1,400 bytes: 45 fill a train.
  const packet = superPacket("udp", 47 * 1_368, 1_368);
  const { sizes } = trains(packet, packet, packet);
  deepEqual(sizes.map((train) => train.length), [45, 45, 45, 6]);
});

Deno.test("train: a shorter datagram is the last, a longer one the first of the next", () => {
  const { sizes } = trains(...[500, 500, 100, 500, 900, 900].map((payload, i) => single(payload, i + 1)));
  const size = (payload: number) => Math.ceil((payload + IP_AND_UDP) / 16) * 16 + OVERHEAD;
  deepEqual(sizes, [[size(500), size(500), size(100)], [size(500)], [size(900), size(900)]]);
});

Deno.test("train: a train has one ECN mark", () => {
  const marked = (i: number, ecn: number) => {
    const packet = single(100, i);
    packet[VIRTIO_HEADER + 1] = ecn;
    return packet;
  };
  const { pair, sizes } = trains(marked(1, 0), marked(2, 0), marked(3, 2), marked(4, 2));
  deepEqual(sizes.map((train) => train.length), [2, 2]);
  equal(pair.far.tun.written.length, 4);
});

Deno.test("train: random packets are sent completely, in order, in trains that a socket accepts", () => {
  const packets = fc.array(
    fc.oneof(
      fc.record({ payload: fc.integer({ min: 1, max: 1_392 }), size: fc.constant(0) }),
      fc.record({
        payload: fc.integer({ min: 1, max: 65_000 }),
        size: fc.integer({ min: 1_000, max: 1_392 }),
      }),
    ),
    { minLength: 1, maxLength: 150 },
  );
  fc.assert(
    fc.property(packets, (list) => {
      const { pair, sizes } = trains(
        ...list.map(({ payload, size }, i) =>
          size === 0 ? single(payload, i + 1) : superPacket("udp", payload, size, i + 1)
        ),
      );
      for (const train of sizes) {
        ok(train.length <= MAX_SEGMENTS && train.reduce((sum, size) => sum + size, 0) <= MAX_PAYLOAD4);
      }
      const expected = list.flatMap(({ payload, size }, i) => {
        const count = size === 0 ? 1 : Math.ceil(payload / size);
        return Array.from(
          { length: count },
          (_, part) => [i + 1, size === 0 ? payload : Math.min(size, payload - part * size)],
        );
      });
      const arrived = pair.far.tun.written.map((packet) => {
        const view = new DataView(packet.buffer);
        return [view.getUint16(VIRTIO_HEADER + 20), packet.length - VIRTIO_HEADER - IP_AND_UDP];
      });
      deepEqual(arrived, expected);
      equal(pair.near.path.drops.malformedInner, 0);
    }),
    { numRuns: 60 },
  );
});

Deno.test("train: a packet without a peer does not affect waiting packets", () => {
  const stray = single(200, 9);
  stray.set([10, 9, 9, 9], VIRTIO_HEADER + 16);
  const { pair } = trains(single(200, 1), stray, single(200, 2));
  equal(pair.far.tun.written.length, 2);
  equal(pair.near.path.drops.noPeer, 1);
});

Deno.test("train: trains that follow each other within a turn stay in their region", () => {
  const pair = new BenchPair();
  pair.far.path.join = 0;
  pair.send(single(1, 1));
  pair.far.tun.written.length = 0;
  const { near } = pair;
  const end = near.path.train.region + TRAIN_CAPACITY;
  const behind = near.wasm.memory.bytes.subarray(end, end + 4_096);
  const before = behind.slice();
  // Each is of whole segments and of another ECN mark than the one before it: none closes its train, none joins it.
  const packets = Array.from({ length: 12 }, (_, i) => {
    const packet = superPacket("udp", 20 * 1_000, 1_000, i + 1);
    packet[VIRTIO_HEADER + 1] = i % 2 === 0 ? 0 : 2;
    return packet;
  });
  near.tun.waiting.push(...packets);
  near.turn(pair.now);
  deepEqual(behind, before);
  pair.settle();
  equal(pair.far.tun.written.length, 12 * 20);
});
