import { equal, ok } from "node:assert/strict";
import { Handshakes } from "../../../core/engine/handshakes.ts";
import { socketReadable } from "../../../core/engine/inbound.ts";
import { OUTER_CAPACITY, type PacketPath } from "../../../core/engine/path.ts";
import type { DatagramSocket } from "../../../core/engine/doors.ts";
import type { Milliseconds } from "../../../core/protocol/clock.ts";
import { Device } from "../../../core/protocol/device.ts";
import type { Output } from "../../../core/protocol/outputs.ts";
import { type EndpointWords, endpointWords } from "../../../core/protocol/endpoint.ts";
import { KEY_LENGTH } from "../../../core/config/key.ts";
import { KEEPALIVE_LENGTH } from "../../../core/protocol/messages.ts";
import { Wasm } from "../../../wasm/mod.ts";
import { handleHandshake } from "../../lab.ts";

const now = { boot: 1 as Milliseconds, wall: 1_700_000_000_000_000_000n };

function random(out: Uint8Array): void {
  crypto.getRandomValues(out as Uint8Array<ArrayBuffer>);
}

function device(wasm: Wasm): Device {
  const made = new Device({ crypto: wasm, keypairs: wasm, random });
  const key = new Uint8Array(KEY_LENGTH);
  random(key);
  made.setPrivateKey(key, now);
  made.up(now);
  return made;
}

function endpoint(port: number): EndpointWords {
  return endpointWords({ family: 4, address: Uint8Array.of(192, 0, 2, 1), port, scope: 0 });
}

function handshake(device: Device): Uint8Array {
  let output: Output | null;
  while ((output = device.poll()) !== null) if (output.kind === "handshake") return output.bytes;
  throw new Error("no handshake message is due");
}

/** Makes a session in which `from` is the initiator. @returns A keepalive of it. */
function keepalive(from: Device, to: Device, port: number, wasm: Wasm): Uint8Array {
  to.addPeer(from.publicKey!);
  const peer = from.addPeer(to.publicKey!)!;
  from.setEndpoint(peer, endpoint(51820));
  from.sessions.sendingKeypair(peer, now);
  handleHandshake(to, handshake(from), endpoint(port), false, now);
  handleHandshake(from, handshake(to), endpoint(51820), false, now);
  const at = wasm.memory.allocate(KEEPALIVE_LENGTH);
  equal(wasm.sealKeepalive(from.sessions.sendingKeypair(peer, now)!.slot, at), KEEPALIVE_LENGTH);
  return wasm.memory.bytes.slice(at, at + KEEPALIVE_LENGTH);
}

Deno.test("a train of first packets of many sessions is received whole, though their windows make memory grow", () => {
  const wasm = new Wasm("plain"), far = new Wasm("plain");
  const near = device(wasm);
  const sessions = 200;
  const keepalives = Array.from({ length: sessions }, (_, i) => keepalive(device(far), near, 1_000 + i, far));
  const train = new Uint8Array(keepalives.flatMap((bytes) => [...bytes]));
  let waits = true;
  const socket: DatagramSocket = {
    family: 4,
    errors: 0,
    memory: { received: 0, receiveBound: 0, sent: 0, sendBound: 0, drops: 0 },
    from: endpoint(1_000),
    segment: KEEPALIVE_LENGTH,
    tos: 0,
    crowded: false,
    refused: 0,
    receive(at) {
      if (!waits) return 0;
      waits = false;
      wasm.memory.bytes.set(train, at);
      return train.length;
    },
    send: () => 0,
  };
  const outer = wasm.memory.allocate(OUTER_CAPACITY, 64), opened = wasm.memory.allocate(OUTER_CAPACITY, 64);
  const drops = { badTag: 0, replayed: 0, malformedOpened: 0, malformedOuter: 0, unknownIndex: 0 };
  // What receiving needs of it.
  const path = { device: near, wasm, outer, opened, drops, join: 0, lanes: null } as unknown as PacketPath;
  const { buffer } = wasm.memory.bytes;

  socketReadable(path, socket, new Handshakes(path), now);

  ok(wasm.memory.bytes.buffer !== buffer, "the memory must grow in this test");
  equal([...near.peers].filter(({ lastHandshake }) => lastHandshake !== null).length, sessions);
  equal(drops.unknownIndex + drops.badTag, 0);
});
