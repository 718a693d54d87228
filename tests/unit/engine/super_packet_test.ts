/**
 * Compares the computed size of a packet before a lane splits it with the result.
 *
 * @module
 */

import { equal, ok } from "node:assert/strict";
import { measure } from "../../../core/engine/lanes/super_packet.ts";
import { Wasm } from "../../../wasm/mod.ts";
import { superPacket } from "./bench_pair.ts";
import { seeded } from "./memory_world.ts";

Deno.test("a packet becomes as many datagrams as computed, and no more bytes", () => {
  const wasm = new Wasm();
  const { memory } = wasm;
  const from = memory.allocate(70_000, 64), to = memory.allocate(200_000, 64);
  const slot = wasm.install(new Uint8Array(32).fill(1), new Uint8Array(32).fill(2), 3);
  const random = seeded(1);
  const measured = { segments: 0, bytes: 0, largest: 0 };
  for (let i = 0; i < 300; i++) {
    const size = 1 + Math.floor(random() * 3_000);
    const packet = superPacket(
      i % 2 === 0 ? "tcp" : "udp",
      Math.ceil(random() * Math.min(64, 60_000 / size) * size),
      size,
    );
    const mtu = [0, 576, 1_280, 1_420, 9_000][i % 5]!;
    memory.bytes.set(packet, from);
    measure(memory.bytes, from, packet.length, mtu, measured);
    let datagrams = 0, bytes = 0;
    do {
      const count = wasm.sealBatch(slot, from, packet.length, to, 200_000, mtu, datagrams, 64);
      ok(count > 0);
      datagrams += count;
      bytes += wasm.sealed.written;
    } while (datagrams < wasm.sealed.total);
    equal(measured.segments, datagrams);
    ok(measured.bytes >= bytes, `${measured.bytes} bytes were calculated and ${bytes} are needed`);
    ok(measured.bytes - bytes <= 16 * datagrams + size, "the calculated size is close to what is needed");
  }
});
