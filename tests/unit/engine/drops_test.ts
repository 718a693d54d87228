import { deepEqual, equal } from "node:assert/strict";
import { Drop } from "../../../core/protocol/drops.ts";
import { VIRTIO_HEADER } from "../../../wasm/packet.ts";
import { BenchPair, superPacket } from "./bench_pair.ts";

const SIZE = 1_000;
/** A super-packet that becomes eleven packets, the last of them shorter. */
const ELEVEN = superPacket("udp", 10 * SIZE + 7, SIZE);

/** A pair with a session. */
function connected(): BenchPair {
  const pair = new BenchPair();
  pair.send(superPacket("udp", 10, 10));
  pair.far.tun.written.length = 0;
  return pair;
}

/** All drops of both ends that are not zero. */
function drops({ near, far }: BenchPair): Record<string, number> {
  const all: [string, number][] = [];
  for (const end of [near, far]) all.push(...Object.entries(end.path.drops), ...end.device.drops.entries());
  return Object.fromEntries(all.filter(([, count]) => count > 0));
}

Deno.test("a super-packet that cannot be routed counts as the packets that it would have become", () => {
  const pair = connected();
  const nobodys = ELEVEN.slice();
  nobodys[VIRTIO_HEADER + 16] = 11;
  pair.send(nobodys);
  deepEqual(drops(pair), { noPeer: 11 });
  const [peer] = pair.near.device.peers;
  peer!.endpoint = null;
  pair.send(ELEVEN);
  deepEqual(drops(pair), { noPeer: 11, noEndpoint: 11 });
});

Deno.test("a super-packet to an address without a socket counts as its packets", () => {
  const pair = connected();
  pair.near.path.sockets.v4 = null;
  pair.send(ELEVEN);
  deepEqual(drops(pair), { noEndpoint: 11 });
});

Deno.test("a super-packet that never gets a key counts as its packets", () => {
  const pair = new BenchPair();
  const { near } = pair;
  near.path.sockets.v4 = null;
  near.tun.waiting.push(ELEVEN, ELEVEN);
  near.turn(pair.now);
  near.device.down();
  equal(near.device.drops.of(Drop.StagedPurged), 22);
  near.tun.waiting.push(ELEVEN);
  near.turn(pair.now);
  equal(near.device.drops.of(Drop.StagedPurged), 33, "packets count as dropped while the interface is down");
});

Deno.test("a super-packet that newer ones replace in the queue counts as its packets", () => {
  const pair = new BenchPair();
  const { near } = pair;
  near.path.sockets.v4 = null;
  // 256 KiB of them fit.
  for (let i = 0; i < 27; i++) near.tun.waiting.push(ELEVEN);
  near.turn(pair.now);
  equal(near.device.drops.of(Drop.StagedOverflow), 11);
});

Deno.test("a train that the socket refuses counts as its datagrams", () => {
  const pair = connected();
  pair.near.socket.refuses = (datagrams) => datagrams;
  pair.send(ELEVEN);
  deepEqual(drops(pair), { sendError: 11 });
  pair.near.socket.refuses = () => 3;
  pair.send(ELEVEN);
  deepEqual(drops(pair), { sendError: 14 });
});

Deno.test("data for an unknown session counts as its datagrams", () => {
  const pair = connected();
  for (const peer of pair.far.device.peers) pair.far.device.removePeer(peer);
  pair.send(ELEVEN);
  deepEqual(drops(pair), { unknownIndex: 11 });
});
