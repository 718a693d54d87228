import { deepEqual, equal, notEqual, ok } from "node:assert/strict";
import { Wasm } from "../../../wasm/mod.ts";
import {
  CONNECTED,
  type ConnectionId,
  ENDED,
  type Microseconds,
  READABLE,
  type TcpStack,
  WRITABLE,
} from "../../../wasm/tcp.ts";

const CAPACITY = 65_545;

const NEAR = new Uint8Array([10, 0, 0, 1]);
const FAR = new Uint8Array([10, 0, 0, 2]);

/** A host whose packets go to another one's memory at once. */
class Host {
  readonly wasm = new Wasm();
  readonly at = this.wasm.memory.allocate(CAPACITY);
  readonly stack: TcpStack;
  readonly events = new Map<ConnectionId, number>();

  constructor(readonly address: Uint8Array, secret: number) {
    this.stack = this.wasm.tcp({
      secret: new Uint8Array(32).fill(secret),
      addresses: [address],
      mtu: 1_420,
      memory: 4 << 20,
      connections: 1_000,
    });
  }

  /** Sends what is due into the void. */
  send(now: Microseconds): void {
    while (this.stack.transmit(this.at, CAPACITY, now) > 0) {
      ok(this.wasm.memory.bytes.length > 0, "the views are of the current memory");
    }
  }

  /** Sends what is due to the other host. Super-packets need no splitting here: they are well-formed segments. */
  flush(other: Host, now: Microseconds): boolean {
    let any = false;
    for (;;) {
      const length = this.stack.transmit(this.at, CAPACITY, now);
      if (length === 0) break;
      any = true;
      other.wasm.memory.bytes.set(this.wasm.memory.bytes.subarray(this.at, this.at + length), other.at);
      equal(other.stack.receiveWhole(other.at, length, true, now), true);
    }
    for (let event = this.stack.event(); event; event = this.stack.event()) {
      this.events.set(event.id, (this.events.get(event.id) ?? 0) | event.bits);
    }
    return any;
  }
}

for (
  const [family, near, far] of [
    ["IPv4", NEAR, FAR],
    ["IPv6", new Uint8Array(16).fill(0xfd), new Uint8Array(16).fill(0xfc)],
  ] as const
) {
  Deno.test(`TcpStack carries streams in both directions over ${family} and ends them`, () => {
    const [a, b] = [new Host(near, 1), new Host(far, 2)];
    let now: Microseconds = 1_000_000;
    const settle = () => {
      while (a.flush(b, now) || b.flush(a, now)) now += 10;
    };
    equal(b.stack.listen(80), true);
    equal(b.stack.listen(80), false);
    const local = { address: near, port: 40_000 };
    const remote = { address: far, port: 80 };
    const id = a.stack.connect(local, remote, now);
    ok(typeof id === "number");
    equal(a.stack.connect(local, remote, now), "in use");
    settle();
    const peer = b.stack.accept(80);
    ok(peer !== null);
    equal(b.stack.accept(80), null);
    deepEqual(b.stack.endpoints(peer), { local: remote, remote: local });
    equal(a.events.get(id)! & (CONNECTED | WRITABLE), CONNECTED | WRITABLE);

    const data = crypto.getRandomValues(new Uint8Array(60_000));
    let written = 0;
    const got: number[] = [];
    while (got.length < data.length) {
      for (
        let room = a.stack.reserve(id);
        room.length > 0 && written < data.length;
        room = a.stack.reserve(id)
      ) {
        const part = data.subarray(written, written + room.length);
        room.set(part);
        a.stack.commit(id, part.length);
        written += part.length;
      }
      settle();
      for (let piece = b.stack.peek(peer); piece.length > 0; piece = b.stack.peek(peer)) {
        got.push(...piece);
        b.stack.consume(peer, piece.length, now);
      }
    }
    deepEqual(Uint8Array.from(got), data);
    ok(b.events.get(peer)! & READABLE);

    a.stack.finish(id);
    settle();
    equal(b.stack.state(peer)?.state, "close-wait");
    equal(b.stack.state(peer)?.atEnd, true);
    b.stack.release(peer, now);
    settle();
    a.stack.release(id, now);
    settle();
    equal(b.stack.state(peer), null);
    now += 61_000_000;
    a.stack.expire(now);
    deepEqual(a.stack.usage, { connections: 0, bytes: 0 });
    deepEqual(b.stack.usage, { connections: 0, bytes: 0 });
    a.stack.free();
  });
}

Deno.test("TcpStack reports why a connection failed, and its next deadline", () => {
  const [a, b] = [new Host(new Uint8Array([10, 0, 0, 1]), 1), new Host(new Uint8Array([10, 0, 0, 2]), 2)];
  const now: Microseconds = 1_000_000;
  const local = { address: a.address, port: 40_000 };
  const id = a.stack.connect(local, { address: b.address, port: 81 }, now) as ConnectionId;
  notEqual(a.stack.deadline, Infinity);
  a.flush(b, now);
  b.flush(a, now);
  a.flush(b, now);
  equal(a.events.get(id)! & ENDED, ENDED);
  deepEqual([a.stack.state(id)?.state, a.stack.state(id)?.failure], ["closed", "refused"]);
  a.stack.release(id, now);
  equal(a.stack.state(id), null);
  equal(a.stack.deadline, Infinity);
  equal(a.stack.connect(local, { address: new Uint8Array([224, 0, 0, 1]), port: 1 }, now), "unusable");
});

Deno.test("memory that grows while packets are sent is used at once", () => {
  const [a, b] = [new Host(NEAR, 1), new Host(FAR, 2)];
  b.stack.listen(80);
  const before = a.wasm.memory.bytes.length;
  let now: Microseconds = 1_000_000;
  for (let port = 10_000; a.wasm.memory.bytes.length < before + (1 << 20) && port < 11_000; port++) {
    const id = a.stack.connect({ address: NEAR, port }, { address: FAR, port: 80 }, now);
    ok(typeof id === "number");
    while (a.flush(b, now) || b.flush(a, now)) now += 10;
    // A byte a packet: each is an entry in the list of what was sent.
    for (let i = 0; i < 100; i++) {
      a.stack.reserve(id)[0] = i;
      a.stack.commit(id, 1);
      a.send(now);
    }
  }
  notEqual(a.wasm.memory.bytes.length, before);
});
