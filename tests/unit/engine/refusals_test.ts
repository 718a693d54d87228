import { deepEqual, equal, match, ok } from "node:assert/strict";
import { Errno } from "../../../ffi/linux/constants.ts";
import { probeJoining } from "../../../core/engine/joining.ts";
import { JOIN_TCP, JOIN_UDP } from "../../../wasm/instance.ts";
import { BenchPair, superPacket } from "./bench_pair.ts";
import { VIRTIO_HEADER } from "../../../wasm/packet.ts";

const PAYLOAD = 10_000;
const SIZE = 1_000;

/** Payloads of the packets that a device took, end to end, and how many packets there were. */
function received(written: readonly Uint8Array[], headers: number) {
  return {
    count: written.length,
    bytes: written.flatMap((packet) => [...packet.subarray(VIRTIO_HEADER + headers)]),
  };
}

for (
  const [protocol, headers, own, other, feature] of [
    ["tcp", 40, JOIN_TCP, JOIN_UDP, "tun-tcp"],
    ["udp", 28, JOIN_UDP, JOIN_TCP, "tun-udp"],
  ] as const
) {
  const sent = superPacket(protocol, PAYLOAD, SIZE);
  const payload = [...sent.subarray(VIRTIO_HEADER + headers)];

  Deno.test(`${protocol}: a super-packet arrives as one`, () => {
    const { far, ...pair } = sentOver(sent);
    deepEqual(received(far.tun.written, headers), { count: 1, bytes: payload });
    equal(pair.near.path.drops.malformedInner, 0);
  });

  Deno.test(`${protocol}: a joined packet that the device refuses (EINVAL) arrives as single packets, and joining ends for this protocol only`, () => {
    const pair = new BenchPair();
    const { far } = pair;
    far.tun.refuse = (_, parts) => parts > 1 ? Errno.EINVAL : 0;
    pair.send(sent);
    deepEqual(received(far.tun.written, headers), { count: PAYLOAD / SIZE, bytes: payload });
    ok(far.tun.written.every((packet) => packet.subarray(0, VIRTIO_HEADER).every((byte) => byte === 0)));
    equal(far.path.join & own, 0);
    equal(far.path.join & other, other, "packets of the other protocol are still joined");
    equal(far.path.drops.tunError, 0);
    equal(far.log.length, 1);
    match(
      far.log[0]!,
      new RegExp(`^${feature}: the kernel refused joined ${protocol.toUpperCase()} packets`),
    );
    pair.send(sent, sent);
    equal(far.tun.written.length, 3 * PAYLOAD / SIZE);
    equal(far.log.length, 1, "the refusal is logged once");
    const { on, why } = far.features.states().find((state) => state.feature === feature)!;
    ok(on && why.includes("EINVAL"), "the feature stays on for splitting, and the reason is shown");
  });

  Deno.test(`${protocol}: a refusal after joined packets were accepted does not end joining`, () => {
    const pair = sentOver(sent);
    const { far } = pair;
    far.tun.refuse = (_, parts) => parts > 1 ? Errno.EINVAL : 0;
    pair.send(sent);
    deepEqual(received(far.tun.written.slice(1), headers), { count: PAYLOAD / SIZE, bytes: payload });
    far.tun.refuse = () => 0;
    pair.send(sent);
    equal(far.tun.written.length, 1 + PAYLOAD / SIZE + 1);
    deepEqual(far.log, []);
  });

  for (const [name, errno] of [["EIO", Errno.EIO], ["ENOBUFS", Errno.ENOBUFS]] as const) {
    Deno.test(`${protocol}: ${name} loses only the affected packets, and joining continues`, () => {
      const pair = new BenchPair();
      const { far } = pair;
      far.tun.refuse = () => errno;
      pair.send(sent);
      equal(far.path.drops.tunError, PAYLOAD / SIZE);
      far.tun.refuse = () => 0;
      pair.send(sent);
      equal(far.tun.written.length, 1);
      deepEqual(far.log, []);
    });
  }

  Deno.test(`${protocol}: if a device also refuses single packets, joining continues`, () => {
    const pair = new BenchPair();
    pair.far.tun.refuse = () => Errno.EINVAL;
    pair.send(sent);
    equal(pair.far.path.drops.tunError, PAYLOAD / SIZE);
    equal(pair.far.path.join, JOIN_TCP | JOIN_UDP);
  });

  Deno.test(`${protocol}: the probe at the start turns refused features off, and its packets are well-formed`, () => {
    const { far } = new BenchPair();
    const kinds: [number, number][] = [];
    far.tun.refuse = (packet, parts) => {
      kinds.push([packet[1]!, packet[VIRTIO_HEADER]! >> 4]);
      equal(parts, 2);
      const view = new DataView(packet.buffer);
      const whole = packet.length - VIRTIO_HEADER;
      const claimed = packet[VIRTIO_HEADER]! >> 4 === 4
        ? view.getUint16(VIRTIO_HEADER + 2)
        : view.getUint16(VIRTIO_HEADER + 4) + 40;
      equal(claimed, whole);
      equal(view.getUint16(2, true) + 2 * view.getUint16(4, true), whole);
      return (packet[1] === 5) === (protocol === "udp") ? Errno.EINVAL : Errno.EIO;
    };
    probeJoining(far.path);
    equal(far.path.join, other);
    equal(far.log.length, 1);
    const [kept, lost] = protocol === "udp" ? [[[1, 4], [4, 6]], [[5, 4]]] : [[[5, 4], [5, 6]], [[1, 4]]];
    deepEqual(
      kinds,
      protocol === "udp" ? [...kept, ...lost] : [...lost, ...kept],
      "no more packets are tried than are needed",
    );
  });
}

Deno.test("without joining, the probe writes nothing", () => {
  const { far } = new BenchPair();
  far.path.join = 0;
  far.tun.refuse = () => {
    throw new Error("asked");
  };
  probeJoining(far.path);
});

function sentOver(packet: Uint8Array): BenchPair {
  const pair = new BenchPair();
  pair.send(packet);
  return pair;
}
