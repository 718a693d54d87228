/**
 * Keys in the memory of lanes. When a session ends, every copy of its keys is erased at once. The tests search the
 * whole memory, including stacks and slots.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { deepEqual, equal, ok } from "node:assert/strict";
import type { Key } from "../../../core/config/key.ts";
import { VIRTIO_HEADER } from "../../../wasm/packet.ts";
import { superPacket } from "./bench_pair.ts";
import { LaneFailure } from "./memory_lanes.ts";
import { advance, introduce, Machine, MemoryWire, seeded, settle } from "./memory_world.ts";

/** Number of bytes to search for. It is less than a key, because a cipher may have kept a part. */
const PIECE = 16;
const LANES = 3;

interface Scene {
  readonly near: Machine;
  readonly far: Machine;
  /** The keys of each session of `near`, oldest first. */
  readonly sessions: Uint8Array[][];
}

/** Two machines. One has lanes, and all lanes contain packets. */
function scene(seed: number): Scene {
  const wire = new MemoryWire();
  const near = new Machine(wire, "192.0.2.1", { lanes: LANES, random: seeded(seed) });
  const far = new Machine(wire, "192.0.2.2");
  const sessions: Uint8Array[][] = [];
  const { wasm } = near;
  const { install } = wasm;
  wasm.install = (sendKey, receiveKey, index) => {
    sessions.push([sendKey.slice(), receiveKey.slice()]);
    return install.call(wasm, sendKey, receiveKey, index);
  };
  introduce([near, far], [0, 1].map((i) => new Uint8Array(32).fill(seed + i + 1) as Key) as [Key, Key]);
  near.link.packets.waiting.push(superPacket("udp", 100, 100));
  settle(near, far);
  while (lanesOf(near).startable) lanesOf(near).start();
  busy(near, far);
  return { near, far, sessions };
}

function lanesOf({ engine }: Machine) {
  return engine.path.lanes!.lanes;
}

function bulk(count: number): Uint8Array[] {
  return Array.from({ length: count }, () => superPacket("udp", 60_000, 1_300));
}

/** The same packet with source and destination exchanged. */
function backwards(packet: Uint8Array): Uint8Array {
  packet.set([10, 0, 0, 2, 10, 0, 0, 1], VIRTIO_HEADER + 12);
  return packet;
}

/** Lets all lanes encrypt and decrypt. Packets stay in them. */
function busy(near: Machine, far: Machine): void {
  for (let i = 0; i < 3; i++) {
    near.link.packets.waiting.push(...bulk(30));
    far.link.packets.waiting.push(
      ...bulk(30).map((packet) => {
        packet.set([10, 0, 0, 2, 10, 0, 0, 1], 22);
        return packet;
      }),
    );
    settle(near, far);
  }
  near.link.packets.waiting.push(...bulk(20));
  near.engine.turn();
  ok(near.due, "packets are in lanes");
}

/** The places that contain parts of keys: numbers of lanes, and the board. */
function found({ lanes }: Machine, keys: readonly Uint8Array[]): string[] {
  const places = lanes!.lanes.flatMap((lane) =>
    lane ? [[`lane ${lane.number}`, lane.wasm.memory.bytes] as const] : []
  );
  return [...places, ["board", new Uint8Array(lanes!.board.buffer)] as const]
    .filter(([, bytes]) => contains(bytes, keys)).map(([name]) => name);
}

function contains(memory: Uint8Array, keys: readonly Uint8Array[]): boolean {
  const bytes = Buffer.from(memory.buffer, memory.byteOffset, memory.length);
  const pieces = keys.flatMap((key) => [key.subarray(0, PIECE), key.subarray(PIECE)]);
  return pieces.some((piece) => bytes.includes(Buffer.from(piece)));
}

/** The events that end all sessions. */
const ENDS: Record<string, (scene: Scene) => void> = {
  "the interface goes down": ({ near }) => {
    near.link.set({ up: false });
    near.engine.turn();
  },
  "the peer is removed": ({ near }) => near.engine.device.removePeer([...near.engine.device.peers][0]!),
  "the keys were not used for nine minutes": ({ near, far }) => {
    // Other sessions still need them.
    lanesOf(near).stop = () => {};
    far.link.set({ up: false });
    settle(near, far);
    advance(541_000, near, far);
    equal(lanesOf(near).count, LANES);
  },
  "the engine closes": ({ near }) => near.engine.close(),
};

for (const [event, act] of Object.entries(ENDS)) {
  Deno.test(`when ${event}, no part of a session's keys is left in any lane`, () => {
    const all = scene(1);
    const keys = all.sessions.flat();
    deepEqual(found(all.near, keys).slice(0, LANES + 1), ["lane 0", "lane 1", "lane 2", "lane 3"]);
    ok(contains(all.near.wasm.memory.bytes, keys));
    act(all);
    deepEqual(found(all.near, keys), []);
    ok(!contains(all.near.wasm.memory.bytes, keys), "nor in the engine's memory");
  });
}

Deno.test("when a session is replaced, its keys are erased in all lanes, and those of the new one are not", () => {
  const { near, far, sessions } = scene(1);
  lanesOf(near).stop = () => {};
  while (sessions.length < 3) {
    settle(near, far);
    advance(121_000, near, far);
    busy(near, far);
  }
  deepEqual(found(near, sessions[0]!), []);
  ok(!contains(near.wasm.memory.bytes, sessions[0]!));
  equal(found(near, sessions[2]!).length, LANES + 1);
});

Deno.test("when a lane fails, no part of a key is left in it or in the others", () => {
  for (const failing of [0, 2]) {
    for (const name of ["sealBatch", "authenticate"] as const) {
      const { near, far, sessions } = scene(failing + 1);
      const { wasm } = near.lanes!.lanes[failing]!;
      const original = wasm[name] as (...args: number[]) => number;
      Object.assign(wasm, {
        [name]: (...args: number[]) => {
          original.apply(wasm, args);
          throw new LaneFailure();
        },
      });
      // If the lane in the engine's thread fails, the engine closes.
      try {
        settle(near, far);
        near.link.packets.waiting.push(...bulk(60));
        far.link.packets.waiting.push(...bulk(60).map(backwards));
        far.settle();
        // While the other lanes do nothing, there is soon so much work that the engine helps.
        for (let turns = 0; turns < 20; turns++) near.engine.turn();
        settle(near, far);
      } catch (error) {
        if (!(error instanceof LaneFailure)) throw error;
      }
      equal(near.engine.ended !== null, failing === 0);
      equal(lanesOf(near).started, 0, `${name} in lane ${failing}`);
      deepEqual(found(near, sessions.flat()), [], `${name} in lane ${failing}`);
    }
  }
});
