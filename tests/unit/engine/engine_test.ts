/**
 * Whole engines without a kernel and without privileges: all interfaces to the system are in memory.
 *
 * @module
 */

import { deepEqual, equal, match, ok, throws } from "node:assert/strict";
import type { Key } from "../../../core/config/key.ts";
import { Errno } from "../../../core/uapi/errno.ts";
import { parseGet } from "../../../core/uapi/get.ts";
import { superPacket } from "./bench_pair.ts";
import { advance, introduce, Machine, MemoryWire, PORT, settle } from "./memory_world.ts";

function newKey(): Key {
  return crypto.getRandomValues(new Uint8Array(32));
}

/** Two machines that are each other's peers. Both interfaces are up. */
function pair(): { near: Machine; far: Machine; wire: MemoryWire } {
  const wire = new MemoryWire();
  const near = new Machine(wire, "192.0.2.1"), far = new Machine(wire, "192.0.2.2");
  introduce([near, far], [newKey(), newKey()]);
  return { near, far, wire };
}

/** Sends a UDP packet from near to far. @returns Packets that came out at the far end. */
function send(near: Machine, far: Machine, payload = 100): number {
  near.link.packets.waiting.push(superPacket("udp", payload, Math.min(payload, 1_000)));
  const before = far.link.packets.written.length;
  settle(near, far);
  return far.link.packets.written.length - before;
}

/** The remaining resources of a machine whose engine has ended. */
function left({ engine, link, control, sockets, host }: Machine) {
  return {
    ended: engine.ended !== null,
    link: link.closed,
    control: control.closed,
    sockets: sockets.openCount,
    // The event source of slow sockets does not belong to the engine.
    watched: host.watched - 1,
    key: engine.device.privateKey,
  };
}
const NOTHING = { ended: true, link: true, control: true, sockets: 0, watched: 0, key: null };

Deno.test("two engines without a kernel complete a handshake and transfer single packets and super-packets", () => {
  const { near, far } = pair();
  equal(send(near, far), 1);
  equal(send(near, far, 50_000), 1, "a super-packet arrives as one packet");
  equal(far.link.packets.written[1]!.length, near.link.packets.written.length + 10 + 28 + 50_000);
  for (const machine of [near, far]) {
    const { peers: [peer] } = parseGet(machine.ask("get=1\n\n"));
    ok(peer!.lastHandshake.seconds > 0);
    ok((machine === near ? peer!.txBytes : peer!.rxBytes) > 50_000);
  }
});

Deno.test("an engine sleeps until its next timer and then handles it", () => {
  const { near, far } = pair();
  send(near, far);
  ok(near.host.alarmAt > near.host.now && near.host.alarmAt < Infinity);
  const turnsUntilQuiet = () => {
    let turns = 0;
    for (; far.due || near.due; turns++) settle(near, far);
    return turns;
  };
  equal(turnsUntilQuiet(), 0);
  // Data without an answer: after 10 s the far end sends a keepalive, once.
  const received = () => parseGet(near.ask("get=1\n\n")).peers[0]!.rxBytes;
  const before = received();
  advance(9_900, near, far);
  equal(received(), before);
  advance(200, near, far);
  equal(received(), before + 32);
});

Deno.test("down and up: the sockets close and open, and a new session begins", () => {
  const { near, far } = pair();
  equal(send(near, far), 1);
  const handshake = () => parseGet(near.ask("get=1\n\n")).peers[0]!.lastHandshake.nanoseconds;
  const before = handshake();
  near.link.set({ up: false });
  settle(near, far);
  equal(near.sockets.openCount, 0);
  // Initiations that follow each other within 20 ms are not answered.
  advance(100, near, far);
  near.link.set({ up: true });
  settle(near, far);
  equal(near.sockets.openCount, 1);
  equal(send(near, far), 1);
  ok(handshake() > before);
  match(near.log.join("\n"), /is up, UDP port 51820\n.* is down\n.* is up, UDP port 51820$/);
});

Deno.test("the link's MTU is the engine's", () => {
  const { near } = pair();
  near.link.set({ mtu: 1_280 });
  settle(near);
  equal(near.engine.path.mtu, 1_280);
});

for (
  const [what, end, reason] of [
    ["told to stop", ({ engine }) => engine.stop("told"), "told"],
    ["whose link is taken away", ({ link }) => link.remove(), "somebody took it away"],
    ["whose control socket is deleted", ({ control }) => control.delete(), "the control socket was deleted"],
  ] as [string, (machine: Machine) => void, string][]
) {
  Deno.test(`an engine ${what} leaves nothing open and no key, and the other one continues`, () => {
    const { near, far } = pair();
    send(near, far);
    const client = near.control.connect();
    settle(near);
    const key = near.engine.device.privateKey!;
    end(near);
    settle(near, far);
    equal(near.engine.turn(), false, "a turn after the end does nothing");
    equal(near.engine.ended, reason);
    deepEqual(left(near), NOTHING);
    ok(client.over);
    ok(key.every((byte) => byte === 0));
    equal(far.engine.ended, null);
  });
}

Deno.test("an engine that throws during a turn closes everything, and the other one continues", () => {
  const { near, far } = pair();
  send(near, far);
  const client = near.control.connect();
  settle(near);
  const key = near.engine.device.privateKey!;
  near.link.packets.waiting.push(superPacket("udp", 10, 10));
  near.link.packets.read = () => {
    throw new TypeError("of a programming error");
  };
  throws(() => near.settle(), /of a programming error/);
  deepEqual(left(near), NOTHING);
  ok(client.over);
  ok(key.every((byte) => byte === 0));
  equal(near.engine.turn(), false);
  settle(far);
  equal(far.engine.ended, null);
});

Deno.test("if something cannot be closed, the rest is closed, and the error is reported", () => {
  const { near } = pair();
  near.link.packets.waiting.push(superPacket("udp", 10, 10));
  near.link.packets.read = () => {
    throw new TypeError("of a programming error");
  };
  const { close } = near.link;
  near.link.close = () => {
    close.call(near.link);
    throw new Error("of closing");
  };
  throws(() => near.settle(), (error) => {
    ok(error instanceof SuppressedError);
    match(`${error.error} ${error.suppressed}`, /of closing .*of a programming error/);
    return true;
  });
  deepEqual(left(near), NOTHING);
});

Deno.test("an engine that cannot start closes everything", () => {
  const machine = new Machine(new MemoryWire(), "192.0.2.1");
  machine.link.watch = () => {
    throw new Error("of watching");
  };
  throws(() => machine.engine.start(), /of watching/);
  deepEqual(left(machine), NOTHING);
});

Deno.test("an interface whose port is in use starts working when it gets another port", () => {
  const { near, far, wire } = pair();
  const third = new Machine(wire, "192.0.2.1");
  third.engine.start();
  equal(third.ask(`set=1\nlisten_port=${PORT}\n\n`), `errno=${-Errno.EADDRINUSE}\n\n`);
  near.engine.stop("to begin with");
  settle(near, far);
  equal(third.ask(`set=1\nlisten_port=${PORT}\n\n`), "errno=0\n\n");
  // Another program is faster.
  const fourth = new Machine(wire, "192.0.2.1");
  fourth.engine.start();
  equal(fourth.ask(`set=1\nlisten_port=${PORT}\n\n`), "errno=0\n\n");
  fourth.link.set({ up: true });
  settle(fourth);
  third.link.set({ up: true });
  settle(third);
  match(third.log.at(-1)!, /cannot be used: port 51820 is taken$/);
  equal(third.ask("set=1\nlisten_port=7\n\n"), "errno=0\n\n");
  match(third.log.at(-1)!, /is up, UDP port 7$/);
  equal(third.sockets.openCount, 1);
});

Deno.test("programs that send invalid requests do not block the control socket for others", () => {
  const { near } = pair();
  const strangers = Array.from({ length: 100 }, () => near.control.connect());
  for (const stranger of strangers) stranger.send("GET / HTTP/1.1\r\n\r\n\n\n");
  const client = near.control.connect();
  client.send("get=1\n\n");
  settle(near);
  match(client.heard, /\nerrno=0\n\n$/);
  ok(strangers.every(({ over, heard }) => over && heard === ""));
});

Deno.test("a program beyond the limit waits until another one disconnects", () => {
  const { near } = pair();
  const clients = Array.from({ length: 64 }, () => near.control.connect());
  settle(near);
  const late = near.control.connect();
  late.send("get=1\n\n");
  settle(near);
  equal(late.heard, "");
  clients[7]!.hangUp();
  settle(near);
  match(late.heard, /\nerrno=0\n\n$/);
});

Deno.test("silent programs are disconnected for new ones, oldest first, but not in their first second", () => {
  const { near } = pair();
  const busy = near.control.connect();
  busy.send("get=1\n\n");
  settle(near);
  const half = near.control.connect();
  half.send("set=1\n");
  settle(near);
  advance(100, near);
  const silent = Array.from({ length: 62 }, () => near.control.connect());
  const late = [near.control.connect(), near.control.connect()] as const;
  for (const client of late) client.send("get=1\n\n");
  settle(near);
  deepEqual(late.map(({ heard }) => heard), ["", ""]);
  advance(900, near);
  match(late[0].heard, /\nerrno=0\n\n$/);
  deepEqual([busy, half, ...silent].map(({ over }) => over), [false, true, ...Array(62).fill(false)]);
  advance(100, near);
  match(late[1].heard, /\nerrno=0\n\n$/);
  equal(silent.filter(({ over }) => over).length, 1);
  advance(60_000, near);
  equal(silent.filter(({ over }) => over).length, 1, "no other program is disconnected");
});

Deno.test("without a descriptor for a connection, accepting is tried again a second later, and logged once", () => {
  const { near } = pair();
  near.control.refusal = Object.assign(new Error("too many open files"), { errno: Errno.EMFILE });
  near.control.attempts = 0;
  const client = near.control.connect();
  client.send("get=1\n\n");
  settle(near);
  equal(near.control.attempts, 1);
  advance(2_500, near);
  equal(near.control.attempts, 3);
  equal(near.log.filter((line) => line.includes("too many open files")).length, 1);
  near.control.refusal = null;
  advance(1_000, near);
  match(client.heard, /\nerrno=0\n\n$/);
});

Deno.test("sockets that open slowly: a change waits for the result, and packets for the sockets", () => {
  const { near, far } = pair();
  near.sockets.slow = true;
  const client = near.control.connect();
  client.send("set=1\nlisten_port=7\n\n");
  equal(turnsOf(near, far), 1, "the old sockets are used until then");
  equal(client.heard, "");
  near.sockets.finish();
  settle(near, far);
  equal(client.heard, "errno=0\n\n");
  match(near.ask("get=1\n\n"), /listen_port=7\n/);

  near.link.set({ up: false });
  settle(near, far);
  advance(100, near, far);
  near.link.set({ up: true });
  settle(near, far);
  equal(near.sockets.openCount, 0);
  // Down again before the sockets are open.
  near.link.set({ up: false });
  settle(near, far);
  near.sockets.finish();
  settle(near, far);
  equal(near.sockets.openCount, 0);
  near.link.set({ up: true });
  settle(near, far);
  near.sockets.finish();
  settle(near, far);
  equal(near.sockets.openCount, 1);
  equal(send(near, far), 1);
});

/** Like `send`, while the near engine always has more to do. */
function turnsOf(near: Machine, far: Machine): number {
  near.link.packets.waiting.push(superPacket("udp", 100, 100));
  const before = far.link.packets.written.length;
  for (let turn = 0; turn < 20; turn++) for (const { engine } of [near, far]) engine.turn();
  return far.link.packets.written.length - before;
}

Deno.test("sockets that open after the engine has ended are closed", () => {
  const machine = new Machine(new MemoryWire(), "192.0.2.1");
  machine.sockets.slow = true;
  machine.link.current = { up: true, mtu: 1_420 };
  machine.engine.start();
  machine.engine.stop("told");
  machine.settle();
  machine.sockets.finish();
  machine.host.dispatch();
  deepEqual(left(machine), NOTHING);
});
