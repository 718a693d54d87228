/**
 * Handshakes whose multiplications are computed by lanes. The order in which lanes compute them is pseudorandom. A
 * failure names its seed.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { parseSocketAddress } from "../../../core/config/endpoint.ts";
import { formatHexKey, type Key } from "../../../core/config/key.ts";
import { BoardWord, LaneWord } from "../../../core/engine/lanes/board.ts";
import type { Lane } from "../../../core/engine/lanes/lane.ts";
import { PLACES_BYTES } from "../../../core/engine/lanes/multiplications.ts";
import { Device } from "../../../core/protocol/device.ts";
import { Drop } from "../../../core/protocol/drops.ts";
import { type EndpointWords, endpointWords } from "../../../core/protocol/endpoint.ts";
import { MESSAGE_INITIATION, MESSAGE_RESPONSE, messageType } from "../../../core/protocol/messages.ts";
import type { Peer } from "../../../core/protocol/peer.ts";
import { publicKey } from "../../../core/public_key.ts";
import { Wasm } from "../../../wasm/mod.ts";
import { handleHandshake } from "../../lab.ts";
import { LaneFailure } from "./memory_lanes.ts";
import { Machine, MemoryWire, peerLines, PORT, seeded } from "./memory_world.ts";

/**
 * Multiplications of an initiation that is answered, of an initiation of ours, each the first of a peer, and of a response.
 */
const ANSWERING = 5;
const BEGINNING = 3;
const ENDING = 2;

/** A peer of the machine: its keys and sessions, without an interface. */
class Caller {
  readonly wasm = new Wasm();
  readonly device = new Device({
    crypto: this.wasm,
    keypairs: this.wasm,
    random: (out) => crypto.getRandomValues(out as Uint8Array<ArrayBuffer>),
  });
  readonly address: EndpointWords;
  readonly peer: Peer;

  constructor(readonly machine: Machine, key: Key, number: number) {
    this.address = endpointWords(parseSocketAddress(`198.51.100.${number}:7`)!);
    this.device.setPrivateKey(key, this.now);
    this.device.up(this.now);
    this.peer = this.device.addPeer(machine.engine.device.publicKey!)!;
    this.device.setEndpoint(this.peer, endpointWords(parseSocketAddress(`192.0.2.1:${PORT}`)!));
  }

  get now() {
    const { host } = this.machine;
    return { boot: host.boot() as never, wall: host.wall() };
  }

  /** The peer as the machine sees it. */
  get seen(): Peer {
    return this.machine.engine.device.peer(this.device.publicKey!)!;
  }

  /** Begins a handshake. */
  call(): void {
    this.device.sessions.sendInitiation(this.peer, true, this.now);
    this.flush();
  }

  hear(message: Uint8Array): void {
    if (messageType(message) === MESSAGE_INITIATION || messageType(message) === MESSAGE_RESPONSE) {
      handleHandshake(this.device, message, this.peer.endpoint!, false, this.now);
    }
    this.flush();
  }

  /** Sends queued messages to the machine's socket. */
  flush(): void {
    const { inbox } = this.machine.sockets.last!;
    for (let output = this.device.poll(); output !== null; output = this.device.poll()) {
      let bytes: Uint8Array;
      if (output.kind === "handshake") {
        ({ bytes } = output);
      } else {
        const at = this.wasm.memory.allocate(32);
        this.wasm.sealKeepalive(this.peer.keypairs.current!.slot, at);
        bytes = this.wasm.memory.bytes.slice(at, at + 32);
      }
      inbox.push({ bytes: bytes.slice(), segment: bytes.length, from: this.address });
    }
  }
}

interface Scene {
  machine: Machine;
  callers: Caller[];
  /** Handshake messages that the machine sent and that no peer has received yet. */
  sent: Uint8Array[];
  /** Lets the peers receive them, and runs everything until nothing happens any more. */
  settle: () => void;
}

/** A machine with running lanes, and peers that have not sent anything. */
function scene(lanes: number, count: number, seed: number): Scene {
  const wire = new MemoryWire();
  const random = seeded(seed);
  const machine = new Machine(wire, "192.0.2.1", { lanes, random });
  const sent: Uint8Array[] = [];
  wire.tap = (bytes) => sent.push(bytes.slice());
  machine.engine.start();
  const keys = Array.from({ length: count + 1 }, (_, i) => new Uint8Array(32).fill(i + 1) as Key);
  machine.ask(
    `set=1\nprivate_key=${formatHexKey(keys[count]!)}\nlisten_port=${PORT}\n` +
      keys.slice(0, count).map((key, i) => peerLines(publicKey(key), { allowed_ip: `10.0.0.${i + 2}/32` }))
        .join("") +
      "\n",
  );
  machine.link.set({ up: true });
  machine.settle();
  const lanesOf = machine.engine.path.lanes!.lanes;
  while (lanesOf.startable) lanesOf.start();
  machine.settle();
  const callers = keys.slice(0, count).map((key, i) => new Caller(machine, key, i + 1));
  const settle = () => {
    do {
      machine.settle();
      for (const message of sent.splice(0)) for (const caller of callers) caller.hear(message);
    } while (machine.due || sent.length > 0);
  };
  return { machine, callers, sent, settle };
}

/** Counts multiplications of each thread, the engine's first. */
function counted({ machine: { wasm, lanes } }: Scene): number[] {
  const counts: number[] = [];
  for (const [i, one] of [wasm, ...lanes!.lanes.slice(1).map((lane) => lane!.wasm)].entries()) {
    counts[i] = 0;
    for (const name of ["dh", "publicKey"] as const) {
      const original = one[name] as (...args: Uint8Array[]) => boolean;
      Object.assign(one, {
        [name]: (...args: Uint8Array[]) => {
          counts[i]!++;
          return original.apply(one, args);
        },
      });
    }
  }
  return counts;
}

/** Lanes that still have data in their places. */
function placesIn({ machine: { lanes } }: Scene): number[] {
  const { board } = lanes!;
  const left = (lane: Lane | undefined) => {
    if (!lane) return [];
    const at = board.unsigned[board.lane(lane.number) + LaneWord.places]!;
    const places = lane.wasm.memory.bytes.subarray(at, at + PLACES_BYTES);
    return places.some((byte) => byte !== 0) ? [lane.number] : [];
  };
  return lanes!.lanes.flatMap(left);
}

function drops({ machine: { engine } }: Scene): [string, number][] {
  return [...engine.device.drops.entries()].filter(([, count]) => count > 0);
}

/** Gives the engine a turn, and lets this many multiplications be computed. */
function go({ machine }: Scene, multiplications: number): void {
  while (machine.engine.turn());
  for (let i = 0; i < multiplications; i++) {
    machine.lanes!.step();
    while (machine.engine.turn());
  }
}

for (const lanes of [1, 2, 4]) {
  Deno.test(`all simultaneous initiations are answered, with ${lanes} lanes`, () => {
    for (let seed = 1; seed <= 5; seed++) {
      const all = scene(lanes, 12, seed);
      const counts = counted(all);
      for (const caller of all.callers) caller.call();
      all.settle();
      for (const { peer, seen } of all.callers) {
        ok(peer.keypairs.current && seen.keypairs.current, `seed ${seed}`);
      }
      deepEqual(drops(all), []);
      equal(counts.reduce((sum, count) => sum + count), 12 * ANSWERING);
      ok(counts.slice(1).every((count) => count > 0), `seed ${seed}: ${counts}`);
      deepEqual(placesIn(all), []);
    }
  });

  Deno.test(`all simultaneous responses to us are accepted, with ${lanes} lanes`, () => {
    for (let seed = 1; seed <= 5; seed++) {
      const all = scene(lanes, 12, seed);
      const counts = counted(all);
      for (const caller of all.callers) callFrom(all, caller);
      all.settle();
      for (const { peer, seen } of all.callers) {
        // Our keepalive confirms their keypair. They do not open it here.
        ok(peer.keypairs.next && seen.keypairs.current, `seed ${seed}`);
      }
      equal(counts.reduce((sum, count) => sum + count), 12 * (BEGINNING + ENDING));
      ok(counts.slice(1).every((count) => count > 0), `seed ${seed}: ${counts}`);
      deepEqual(placesIn(all), []);
    }
  });
}

/** Has the machine begin a handshake with a peer. */
function callFrom({ machine: { engine, host } }: Scene, { seen, address }: Caller): void {
  engine.device.setEndpoint(seen, address);
  engine.device.sessions.sendInitiation(seen, false, { boot: host.boot() as never, wall: host.wall() });
}

Deno.test("a single handshake of ours computes its multiplications only in lanes", () => {
  const all = scene(2, 1, 1);
  const counts = counted(all);
  callFrom(all, all.callers[0]!);
  all.settle();
  ok(all.callers[0]!.seen.keypairs.current);
  equal(counts[0], 0);
});

Deno.test("our initiations and those of others take turns", () => {
  const all = scene(1, 12, 1);
  for (const [i, caller] of all.callers.entries()) {
    if (i % 2 === 0) callFrom(all, caller);
    else caller.call();
  }
  const order: number[] = [];
  const { machine, sent } = all;
  while (order.length < 12) {
    go(all, 1);
    for (const message of sent.splice(0)) order.push(messageType(message));
  }
  for (let i = 2; i < 10; i++) ok(new Set(order.slice(0, i + 2)).size === 2, `${order}`);
  deepEqual(drops(all), []);
  equal(machine.engine.device.sessions.indices.size, 12);
});

Deno.test("an initiation that a timer begins is sent, although nothing else happens in that turn", () => {
  const all = scene(2, 1, 1);
  const { machine: { host, engine }, sent } = all;
  callFrom(all, all.callers[0]!);
  all.machine.settle();
  for (let attempt = 1; attempt <= 3; attempt++) {
    equal(sent.splice(0).length, 1, `attempt ${attempt}`);
    host.now = Math.max(host.now, engine.device.nextDeadline());
    all.machine.settle();
  }
});

Deno.test("a single handshake computes its multiplications only in lanes", () => {
  const all = scene(2, 1, 1);
  const counts = counted(all);
  all.callers[0]!.call();
  all.settle();
  ok(all.callers[0]!.seen.keypairs.current);
  equal(counts[0], 0);
});

/** Events while lanes multiply for a handshake that a peer has begun. Afterwards there is no session. */
const EVENTS: Record<string, (scene: Scene) => void> = {
  "our key is taken away": ({ machine }) =>
    machine.engine.device.setPrivateKey(null, { boot: 0 as never, wall: 0n }),
  "we get another key": ({ machine }) =>
    machine.engine.device.setPrivateKey(new Uint8Array(32).fill(99), { boot: 0 as never, wall: 0n }),
  "the interface goes down": ({ machine }) => machine.link.set({ up: false }),
  "the interface goes down and up again": ({ machine }) => {
    machine.link.set({ up: false });
    machine.link.set({ up: true });
  },
  "the peer is removed": ({ machine, callers }) => machine.engine.device.removePeer(callers[0]!.seen),
};

for (const [event, act] of Object.entries(EVENTS)) {
  Deno.test(`while lanes multiply, ${event}: the handshake ends, and lanes keep none of its secrets`, () => {
    for (let at = 0; at < ANSWERING; at++) {
      const all = scene(2, 1, at + 1);
      const [caller] = all.callers;
      const { seen } = caller!;
      caller!.call();
      go(all, at);
      equal(placesIn(all).length > 0, true, "lanes are at it");
      act(all);
      go(all, 0);
      if (event !== "the peer is removed") deepEqual(placesIn(all), [], `after ${at}, in the same turn`);
      all.settle();
      deepEqual(placesIn(all), [], `after ${at}`);
      equal(seen.keypairs.current ?? seen.keypairs.next, null);
      const reason = event === "the peer is removed" && at === 0 ? "UnknownPeer" : "NotReady";
      deepEqual(drops(all), [[reason, 1]], `after ${at}`);
    }
  });
}

for (const [event, act] of Object.entries(EVENTS)) {
  Deno.test(`while lanes multiply for our initiation, ${event}: it is not sent, and a later one is`, () => {
    for (let at = 0; at < BEGINNING; at++) {
      const all = scene(2, 1, at + 1);
      const [caller] = all.callers;
      const { seen } = caller!;
      callFrom(all, caller!);
      go(all, at);
      equal(placesIn(all).length > 0, true, "lanes are at it");
      act(all);
      go(all, 0);
      if (event !== "the peer is removed") deepEqual(placesIn(all), [], `after ${at}, in the same turn`);
      all.machine.settle();
      deepEqual(placesIn(all), [], `after ${at}`);
      equal(seen.handshake, null);
      deepEqual(all.sent, []);
      if (!["we get another key", "the interface goes down and up again"].includes(event)) continue;
      callFrom(all, caller!);
      all.machine.settle();
      deepEqual(all.sent.map(messageType), [MESSAGE_INITIATION]);
    }
  });
}

Deno.test("of an initiation that waited when we got another key, only the newer one is sent", () => {
  const all = scene(1, 1, 1);
  callFrom(all, all.callers[0]!);
  EVENTS["we get another key"]!(all);
  callFrom(all, all.callers[0]!);
  all.machine.settle();
  deepEqual(all.sent.map(messageType), [MESSAGE_INITIATION]);
  equal(all.machine.engine.device.sessions.indices.size, 1);
});

Deno.test("our initiation is not sent any more when its peer has begun a session meanwhile", () => {
  let cancelled = 0;
  for (let seed = 1; seed <= 20; seed++) {
    const all = scene(1, 1, seed);
    const { callers: [caller], sent } = all;
    caller!.call();
    go(all, ANSWERING);
    callFrom(all, caller!);
    // That it has just answered keeps the machine from an initiation; nothing else may.
    caller!.seen.lastHandshakeSentAt = -Infinity;
    callFrom(all, caller!);
    go(all, seed % BEGINNING);
    for (const message of sent.splice(0)) {
      if (messageType(message) === MESSAGE_RESPONSE) caller!.hear(message);
    }
    all.machine.settle();
    ok(caller!.seen.keypairs.current, `seed ${seed}`);
    if (sent.every((message) => messageType(message) !== MESSAGE_INITIATION)) cancelled++;
    deepEqual(placesIn(all), []);
  }
  equal(cancelled, 20);
});

Deno.test("an engine that closes leaves nothing of a handshake in its lanes", () => {
  for (let at = 0; at < ANSWERING; at++) {
    const all = scene(2, 3, at + 1);
    for (const caller of all.callers) caller.call();
    go(all, at);
    equal(placesIn(all).length > 0, true);
    all.machine.engine.close();
    deepEqual(placesIn(all), []);
  }
});

Deno.test("lanes that end in the middle of handshakes finish what they have, and the engine does the rest", () => {
  for (let at = 0; at < 12; at++) {
    const all = scene(2, 4, at + 1);
    for (const caller of all.callers) caller.call();
    go(all, at);
    all.machine.engine.path.lanes!.lanes.stop();
    deepEqual(placesIn(all), []);
    all.settle();
    for (const { seen } of all.callers) ok(seen.keypairs.current);
    deepEqual(drops(all), []);
  }
});

Deno.test("if a peer repeats its initiation before the response, the newest one is answered", () => {
  let overtaken = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const all = scene(2, 1, seed);
    const { machine } = all;
    const [caller] = all.callers;
    caller!.call();
    // Until the sender is known and the message is known to be new.
    for (let steps = 0; caller!.seen.latestTimestamp === null; steps++) {
      ok(steps < ANSWERING);
      go(all, 1);
    }
    machine.host.now += 5_100;
    caller!.call();
    all.settle();
    ok(caller!.peer.keypairs.current && caller!.seen.keypairs.current, `seed ${seed}: they agree`);
    overtaken += machine.engine.device.drops.of(Drop.NotReady);
  }
  ok(overtaken > 0, "in some orders the older one was not answered any more");
});

Deno.test("a response that comes twice while lanes multiply begins one session", () => {
  for (let seed = 1; seed <= 10; seed++) {
    const all = scene(2, 1, seed);
    const { machine, sent } = all;
    const [caller] = all.callers;
    callFrom(all, caller!);
    machine.settle();
    caller!.hear(sent.splice(0)[0]!);
    const { inbox } = machine.sockets.last!;
    inbox.push({ ...inbox[0]! });
    all.settle();
    ok(caller!.seen.keypairs.current);
    equal(caller!.seen.keypairs.previous, null);
    equal(drops(all).length, 1);
  }
});

Deno.test("a lane that fails does not lose a handshake", () => {
  for (let failing = 1; failing <= 2; failing++) {
    const all = scene(2, 6, failing);
    const lane = all.machine.lanes!.lanes[failing]!;
    let count = 0;
    const { dh } = lane.wasm;
    lane.wasm.dh = (...args) => {
      if (++count === 3) throw new LaneFailure();
      return dh.apply(lane.wasm, args);
    };
    for (const caller of all.callers) caller.call();
    all.settle();
    for (const { seen } of all.callers) ok(seen.keypairs.current);
    equal(all.machine.log.filter((message) => /a lane failed/.test(message)).length, 1);
    deepEqual(placesIn(all), []);
  }
});

Deno.test("an engine that sleeps is woken when a lane has multiplied", () => {
  const all = scene(1, 1, 1);
  const { machine } = all;
  const { lanes } = machine.engine.path.lanes!;
  all.callers[0]!.call();
  while (machine.engine.turn());
  equal(lanes.maySleep(), true);
  const asleep = () => machine.lanes!.board.words[BoardWord.engineSleeps] !== 0;
  ok(asleep());
  machine.lanes!.step();
  ok(!asleep());
  equal(lanes.maySleep(), false, "there is a result to take");
});
