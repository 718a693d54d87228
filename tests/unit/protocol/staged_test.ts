import { deepEqual, equal, ok } from "node:assert/strict";
import { Drop, Drops } from "../../../core/protocol/drops.ts";
import { MAX_STAGED_BYTES, StagedPackets, STAGING_BUDGET } from "../../../core/protocol/staged.ts";
import { ipv4, pair } from "../../lab.ts";

function staged() {
  const drops = new Drops();
  return { drops, packets: new StagedPackets<string>(drops) };
}

Deno.test("StagedPackets.add() keeps the newest 128 packets of a peer", () => {
  const { drops, packets } = staged();
  for (let i = 0; i < 130; i++) packets.add("bob", Uint8Array.of(i));
  deepEqual(packets.take("bob").map(({ bytes }) => bytes[0]), Array.from({ length: 128 }, (_, i) => i + 2));
  equal(drops.of(Drop.StagedOverflow), 2);
  equal(packets.bytes, 0);
});

Deno.test("StagedPackets.add() keeps the newest packets within the bytes of a peer", () => {
  const { drops, packets } = staged();
  const size = 65_000;
  for (let i = 0; i < 10; i++) packets.add("bob", new Uint8Array(size).fill(i));
  const kept = packets.take("bob");
  equal(kept.length, Math.floor(MAX_STAGED_BYTES / size));
  equal(kept.at(-1)!.bytes[0], 9);
  equal(drops.of(Drop.StagedOverflow), 10 - kept.length);
});

Deno.test("StagedPackets.add() keeps the total budget by dropping packets of the peer that has waited longest", () => {
  const { packets } = staged();
  const peers = Math.ceil(STAGING_BUDGET / 200_000) + 10;
  for (let peer = 0; peer < peers; peer++) {
    for (let i = 0; i < 4; i++) packets.add(`${peer}`, new Uint8Array(50_000));
    ok(packets.bytes <= STAGING_BUDGET);
  }
  equal(packets.count("0"), 0);
  equal(packets.count(`${peers - 1}`), 4);
});

Deno.test("StagedPackets.purge() drops and counts all of one peer", () => {
  const { drops, packets } = staged();
  packets.add("bob", new Uint8Array(10));
  packets.add("bob", new Uint8Array(10));
  packets.add("carol", new Uint8Array(7));
  packets.purge("bob");
  deepEqual([packets.count("bob"), packets.count("carol"), packets.bytes], [0, 1, 7]);
  equal(drops.of(Drop.StagedPurged), 2);
  packets.purge("bob");
  equal(drops.of(Drop.StagedPurged), 2);
});

Deno.test("staged packets go out in order when the handshake completes", () => {
  const { lab, alice, bob } = pair();
  for (let i = 0; i < 200; i++) alice.sendPacket(ipv4([10, 0, 0, 1], [10, 0, 0, 2], 28 + i));
  lab.settle();
  deepEqual(
    bob.received.map((packet) => packet[2]! << 8 | packet[3]!),
    Array.from({ length: 128 }, (_, i) => 28 + 72 + i),
  );
});
