import { deepEqual, equal, rejects } from "node:assert/strict";
import { accepted, type ByteStream, EarlyReader, type Immediate, relay } from "../../../core/net/relay.ts";
import type { Waiter } from "../../../core/net/waiters.ts";

/** A stream whose reads return this many bytes each, or as many as fit. */
class Scripted implements ByteStream {
  readonly rooms: number[] = [];
  readonly written: number[] = [];

  constructor(readonly lengths: number[]) {}

  read(buffer: Uint8Array): Promise<number | null> {
    this.rooms.push(buffer.length);
    const length = this.lengths.shift();
    return Promise.resolve(length === undefined ? null : Math.min(length, buffer.length));
  }

  write(bytes: Uint8Array): Promise<number> {
    this.written.push(bytes.length);
    return Promise.resolve(bytes.length);
  }

  closeWrite(): Promise<void> {
    return Promise.resolve();
  }
}

Deno.test("a relay waits with a small buffer, and reads large chunks while there is much to read", async () => {
  const [program, peer] = [new Scripted([10, 9_999, Infinity, 5, 7]), new Scripted([])];
  await relay(program, peer);
  deepEqual(program.rooms, [4_096, 4_096, 65_536, 65_536, 4_096, 4_096]);
  deepEqual(peer.written, [10, 4_096, 65_536, 5, 7]);
});

/** A stream that reports arrivals, with at most `room` bytes of room at a time. */
class Reporting extends Scripted implements Immediate {
  readonly buffers: Uint8Array[] = [];
  waiter: Waiter | undefined;
  ended = false;
  #empty = false;

  /** @param lengths Undefined: nothing has arrived. Null: the end. */
  constructor(readonly arrivals: (number | undefined | null | Error)[], readonly room = Infinity) {
    super([]);
  }

  readNow(buffer: Uint8Array): number | null | undefined {
    this.buffers.push(buffer);
    const length = this.arrivals.shift();
    if (length instanceof Error) throw length;
    this.#empty = length === undefined;
    return length;
  }

  whenReadable(waiter: Waiter): void {
    if (!this.#empty && this.arrivals[0] !== undefined) return waiter.wake();
    if (!this.#empty) this.arrivals.shift();
    this.waiter = waiter;
  }

  writeNow(bytes: Uint8Array): number {
    const length = Math.min(bytes.length, this.room);
    if (length > 0) this.written.push(length);
    return length;
  }

  override closeWrite(): Promise<void> {
    this.ended = true;
    return Promise.resolve();
  }
}

const turn = () => new Promise((resolve) => setTimeout(resolve));

Deno.test("a relay copies what has arrived, and waits without a buffer for more", async () => {
  const [a, b] = [new Reporting([10, 20, undefined, 30, null]), new Reporting([undefined, 5, null])];
  const relayed = relay(a, b);
  await turn();
  deepEqual([b.written, a.written, b.ended], [[10, 20], [], false]);
  a.waiter!.wake();
  await turn();
  deepEqual([b.written, b.ended, a.ended], [[10, 20, 30], true, false], "only one direction has ended");
  b.waiter!.wake();
  await relayed;
  deepEqual([a.written, a.ended], [[5], true]);
  equal(new Set([...a.buffers, ...b.buffers].map(({ buffer }) => buffer)).size, 1, "the same buffer");
});

Deno.test("a relay reads on after a full buffer, and waits after a read that did not fill it", async () => {
  const a = new Reporting([65_536, 65_535, undefined, 9, null]);
  const b = new Reporting([null]);
  const relayed = relay(a, b);
  await turn();
  deepEqual([a.buffers.length, b.written], [2, [65_536, 65_535]]);
  a.waiter!.wake();
  await relayed;
  deepEqual([a.buffers.length, b.written, b.ended], [4, [65_536, 65_535, 9], true]);
});

Deno.test("a relay reads nothing while there is no room for what it has read", async () => {
  const { promise: room, resolve: makeRoom } = Promise.withResolvers<void>();
  const a = new Reporting([10, 20, null]);
  const b = Object.assign(new Reporting([null], 4), {
    async write(bytes: Uint8Array): Promise<number> {
      await room;
      b.written.push(bytes.length);
      return bytes.length;
    },
  });
  const relayed = relay(a, b);
  await turn();
  deepEqual([a.buffers.length, b.written], [1, [4]]);
  makeRoom();
  await relayed;
  deepEqual(b.written, [4, 6, 4, 16]);
});

Deno.test("a relay fails once, with the first error", async () => {
  const a = new Reporting([new Deno.errors.ConnectionReset("a")]);
  await rejects(relay(a, new Reporting([new Error("b")])), /^ConnectionReset: a$/);
  const deaf = Object.assign(new Reporting([undefined]), {
    writeNow(): number {
      throw new Deno.errors.BrokenPipe("deaf");
    },
  });
  await rejects(relay(new Reporting([1]), deaf), /^BrokenPipe: deaf$/);
});

Deno.test("what a program sends while its connection is opened is read once, and the rest afterwards", async () => {
  const buffer = new Uint8Array(4_096);
  const early = new EarlyReader(new Scripted([3, 5]));
  await Promise.resolve();
  equal(early.take().length, 3);
  deepEqual([await early.read(buffer), await early.read(buffer)], [5, null]);

  const { promise, resolve } = Promise.withResolvers<number>();
  const late = new EarlyReader(
    Object.assign(new Scripted([]), {
      read(buffer: Uint8Array) {
        buffer[0] = 7;
        return promise;
      },
    }),
  );
  equal(late.take().length, 0);
  const length = late.read(buffer);
  resolve(1);
  deepEqual([await length, buffer[0]], [1, 7]);
});

Deno.test("the end and the failure of a program that waits are told to the first who reads", async () => {
  const ended = new EarlyReader(new Scripted([]));
  const failed = new EarlyReader(
    Object.assign(new Scripted([]), { read: () => Promise.reject(new Deno.errors.ConnectionReset()) }),
  );
  await new Promise((resolve) => setTimeout(resolve));
  deepEqual([ended.take().length, failed.take().length], [0, 0]);
  equal(await ended.read(new Uint8Array(1)), null);
  await rejects(() => failed.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
});

Deno.test("a listener without a free descriptor continues when there is one", async () => {
  const outcomes = [
    1,
    Object.assign(new Error("Too many open files (os error 24)"), { code: "EMFILE" }),
    new Deno.errors.ConnectionAborted(),
    2,
    new Deno.errors.BadResource(),
    3,
  ];
  const accept = async () => {
    const outcome = await Promise.resolve(outcomes.shift()!);
    if (outcome instanceof Error) throw outcome;
    return outcome;
  };
  const failures: string[] = [];
  const connections: number[] = [];
  for await (const conn of accepted({ accept }, ({ message }) => failures.push(message))) {
    connections.push(conn);
  }
  deepEqual({ connections, failures }, {
    connections: [1, 2],
    failures: ["Too many open files (os error 24)"],
  });
});
