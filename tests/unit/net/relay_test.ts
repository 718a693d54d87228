import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { accepted, type ByteStream, EarlyReader, relay } from "../../../core/net/relay.ts";

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

Deno.test("a relay has no buffer for a stream that reports when data has arrived", async () => {
  const program = new Scripted([10]);
  const { promise: came, resolve: come } = Promise.withResolvers<void>();
  const peer = Object.assign(new Scripted([20]), { arrived: () => came });
  const relayed = relay(program, peer);
  await new Promise((resolve) => setTimeout(resolve));
  deepEqual([peer.rooms, peer.written], [[], [10]]);
  come();
  await relayed;
  deepEqual([peer.rooms, program.written], [[65_536, 65_536], [20]]);
});

Deno.test("the buffer in which a stream ended is used for the next stream", async () => {
  const buffers = new Set<ArrayBufferLike>();
  const stream = () => ({
    read: (buffer: Uint8Array) => Promise.resolve(buffers.add(buffer.buffer) && null),
    write: (bytes: Uint8Array) => Promise.resolve(bytes.length),
    closeWrite: () => Promise.resolve(),
    arrived: () => Promise.resolve(),
  });
  for (let count = 0; count < 20; count++) await relay(stream(), stream());
  // Both directions may read at the same time.
  ok(buffers.size <= 2, `${buffers.size} buffers`);
});

Deno.test("a relay that has become idle has no buffer", async () => {
  setFlagsFromString("--expose-gc");
  const collectGarbage: () => void = runInNewContext("gc");
  const RELAYS = 100;
  const never = new Promise<never>(() => {});
  const buffers: WeakRef<ArrayBufferLike>[] = [];
  const { promise: allRead, resolve: haveAllRead } = Promise.withResolvers<void>();
  for (let count = 0; count < RELAYS; count++) {
    let arrivals = 0;
    const peer = Object.assign(new Scripted([1]), {
      arrived: () => arrivals++ === 0 ? Promise.resolve() : never,
      read(buffer: Uint8Array): Promise<number> {
        if (buffers.push(new WeakRef(buffer.buffer)) === RELAYS) haveAllRead();
        return Promise.resolve(1);
      },
    });
    const program = Object.assign(new Scripted([]), {
      read: () => never,
      write: (bytes: Uint8Array) => allRead.then(() => bytes.length),
    });
    void relay(program, peer);
  }
  await allRead;
  // A WeakRef keeps its buffer until the task ends.
  await new Promise((resolve) => setTimeout(resolve));
  collectGarbage();
  const kept = buffers.filter((buffer) => buffer.deref() !== undefined).length;
  // Some are kept for the next relay.
  ok(kept <= 16, `${kept} buffers`);
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
