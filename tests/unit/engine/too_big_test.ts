import { deepEqual, equal, ok } from "node:assert/strict";
import { parseSocketAddress } from "../../../core/config/endpoint.ts";
import { flush } from "../../../core/engine/outbound.ts";
import type { Milliseconds } from "../../../core/protocol/clock.ts";
import { endpointWords } from "../../../core/protocol/endpoint.ts";
import { MESSAGE_INITIATION, messageType } from "../../../core/protocol/messages.ts";
import { BenchPair, superPacket } from "./bench_pair.ts";
import { VIRTIO_HEADER } from "../../../wasm/packet.ts";

const IP_AND_UDP = 28;
/** The largest inner packets that become one UDP datagram over IPv4 and over IPv6. */
const FITS = { 4: 65_507 - 32, 6: 65_527 - 32 };

/** A UDP packet of so many bytes, IP header included, that is not a super-packet. */
function packet(length: number): Uint8Array {
  const bytes = superPacket("udp", length - IP_AND_UDP, length);
  bytes.fill(0, 0, VIRTIO_HEADER);
  return bytes;
}

/** A pair whose interfaces have the largest MTU there is, outside over a family. */
function widePair(family: 4 | 6 = 4): BenchPair {
  const pair = new BenchPair();
  for (const end of [pair.near, pair.far]) {
    end.path.mtu = 65_535;
    if (family === 4) continue;
    const endpoint = endpointWords(parseSocketAddress(`[fd00::${end === pair.near ? 2 : 1}]:1`)!);
    end.path.sockets.v6 = end.socket;
    end.socket.from.set(endpoint);
    for (const peer of end.device.peers) end.device.setEndpoint(peer, endpoint);
  }
  return pair;
}

/** Lengths of the packets that the far end's interface got since the last call. */
function arrived({ far }: BenchPair): number[] {
  return far.tun.written.splice(0).map((bytes) => bytes.length - VIRTIO_HEADER);
}

for (const family of [4, 6] as const) {
  Deno.test(`over IPv${family}, every packet that fits one UDP datagram arrives, and a larger one is dropped`, () => {
    const pair = widePair(family);
    const { near } = pair;
    pair.send(packet(100));
    deepEqual(arrived(pair), [100]);
    for (let length = FITS[family] - 20; length <= FITS[family]; length++) {
      pair.send(packet(length));
      deepEqual(arrived(pair), [length]);
    }
    equal(near.path.drops.tooBig, 0);
    for (const length of [FITS[family] + 1, 65_528, 65_535]) pair.send(packet(length));
    deepEqual(arrived(pair), []);
    equal(near.path.drops.tooBig, 3);
    equal(near.device.sessions.staged.bytes, 0);
    pair.send(packet(200));
    deepEqual(arrived(pair), [200], "the next packet is sent");
  });

  Deno.test(`over IPv${family}, the sender of a packet that is too big learns what fits`, () => {
    const pair = widePair(family);
    pair.send(packet(100));
    pair.near.tun.written.length = 0;
    pair.send(packet(65_535));
    const [answer, ...others] = pair.near.tun.written;
    equal(others.length, 0);
    const view = new DataView(answer!.buffer, VIRTIO_HEADER);
    deepEqual([view.getUint8(20), view.getUint8(21)], [3, 4], "fragmentation needed (RFC 792)");
    equal(view.getUint16(26), FITS[family], "the next hop's MTU (RFC 1191)");
    deepEqual([...answer!.subarray(VIRTIO_HEADER + 12, VIRTIO_HEADER + 20)], [10, 0, 0, 2, 10, 0, 0, 1]);
  });
}

Deno.test("a packet that is too big does not keep the responder waiting for the key's confirmation", () => {
  const pair = widePair();
  pair.send(packet(65_535));
  const [peer] = pair.far.device.peers;
  ok(peer!.keypairs.current !== null, "a keepalive has confirmed the session");
  equal(pair.near.path.drops.tooBig, 1);
});

Deno.test("an invalid packet does not keep the responder waiting for the key's confirmation", () => {
  const pair = widePair();
  const broken = packet(100);
  // A TCP super-packet whose header is said to end outside of it.
  broken.set([1, 1, 0, 0, 100, 0, 200, 0]);
  pair.send(broken);
  const [peer] = pair.far.device.peers;
  ok(peer!.keypairs.current !== null);
  equal(pair.near.path.drops.malformedInner, 1);
});

Deno.test("packets that fit and wait with one that is too big go out", () => {
  const pair = widePair();
  pair.send(packet(100), packet(65_535), packet(200));
  deepEqual(arrived(pair), [100, 200]);
  equal(pair.near.path.drops.tooBig, 1);
});

Deno.test("a super-packet is dropped if its packets do not fit", () => {
  const pair = widePair();
  pair.send(packet(100));
  arrived(pair);
  pair.send(superPacket("tcp", 65_535 - 40, 65_490));
  deepEqual(arrived(pair), []);
  equal(pair.near.path.drops.tooBig, 2, "both packets that it would become are counted");
  pair.send(packet(200));
  deepEqual(arrived(pair), [200]);
});

Deno.test("a keepalive whose counter is spent causes a new session", () => {
  const pair = widePair();
  const { near, far } = pair;
  pair.send(packet(100));
  const [peer] = near.device.peers;
  near.wasm.skipTo(peer!.keypairs.current!.slot, 2n ** 64n - 1n);
  const now = { ...pair.now, boot: pair.now.boot + 10_000 as Milliseconds };
  near.device.setPersistentKeepalive(peer!, 25, now);
  near.device.handleTimeout(now);
  flush(near.path, now);
  equal(peer!.keypairs.current!.sendable, false);
  deepEqual(far.socket.inbox.map(({ bytes }) => messageType(bytes)), [MESSAGE_INITIATION]);
});
