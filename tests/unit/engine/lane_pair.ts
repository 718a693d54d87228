/**
 * Two machines in memory whose packets are encrypted and decrypted by lanes, without threads.
 *
 * @module
 */

import { equal } from "node:assert/strict";
import type { Key } from "../../../core/config/key.ts";
import { BoardWord, IN, LaneWord, OUT } from "../../../core/engine/lanes/board.ts";
import { KEYS_BYTES } from "../../../core/engine/lanes/slots.ts";
import { VIRTIO_HEADER } from "../../../wasm/packet.ts";
import { superPacket } from "./bench_pair.ts";
import { introduce, Machine, MemoryWire, seeded, settle } from "./memory_world.ts";

/** Two machines. */
export interface Pair {
  near: Machine;
  far: Machine;
  wire: MemoryWire;
  keys: readonly [Key, Key];
}

/** Two machines with lanes, each the other's peer. Both interfaces are up. */
export function pair(lanes: number, seed = 1): Pair {
  const wire = new MemoryWire();
  const random = seeded(seed);
  const near = new Machine(wire, "192.0.2.1", { lanes, random }),
    far = new Machine(wire, "192.0.2.2", { lanes, random });
  const keys = [0, 1].map((i) => new Uint8Array(32).fill(seed + i + 1) as Key) as [Key, Key];
  introduce([near, far], keys);
  return { near, far, wire, keys };
}

/** A machine's lanes. */
export function lanesOf({ engine }: Machine) {
  return engine.path.lanes!.lanes;
}

/** Starts all lanes. The first packets make a session and cause enough traffic for lanes. */
export function begin({ near, far }: Pair): void {
  near.link.packets.waiting.push(superPacket("udp", 100, 100));
  settle(near, far);
  startAll(near, far);
  for (let i = 0; i < 2; i++) {
    near.link.packets.waiting.push(...bulk(4));
    settle(near, far);
  }
  far.link.packets.written.length = 0;
}

/** Starts all lanes of machines that may have some. */
export function startAll(...machines: Machine[]): void {
  for (const machine of machines) {
    if (!machine.lanes) continue;
    while (lanesOf(machine).startable) lanesOf(machine).start();
    equal(lanesOf(machine).started, machine.lanes.limit);
  }
}

/** Super-packets of one UDP flow. */
export function bulk(count: number): Uint8Array[] {
  return Array.from({ length: count }, () => superPacket("udp", 60_000, 1_300));
}

/** Jobs that lanes did, including the engines' own. */
export function jobs(machine: Machine): number {
  const { board } = machine.lanes!;
  return board.words[BoardWord.head + OUT]! + board.words[BoardWord.head + IN]!;
}

/** Packets of flows. The payload contains the position in the flow. */
export class Flows {
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
export function drops({ engine: { device, path } }: Machine): Record<string, number> {
  const all = [...Object.entries(path.drops), ...device.drops.entries()];
  return Object.fromEntries(all.filter(([, count]) => count > 0));
}

/** Where lanes still have 32 bytes of a key that is not zero. */
export function keysIn({ lanes }: Machine): number[] {
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
