/**
 * Connections of programs: our own sockets behave as Deno's, which are used where FFI is not permitted.
 *
 * @module
 */

import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { EventLoopEpoll } from "../../../ffi/linux/event_loop_epoll.ts";
import { EventLoopStreams } from "../../../core/tunnel/event_loop_streams.ts";
import { type LocalConn, SocketListener, type StreamSockets } from "../../../core/net/local_conn.ts";
import { listenLocally, type LocalListener } from "../../../core/net/local_listener.ts";
import { closeQuietly, type Immediate, relay, writeAll } from "../../../core/net/relay.ts";
import { TextLineStream } from "../../cli/text_lines.ts";
import { eventually } from "../../netns/lab/exec.ts";
import { ANY_PORT, exactly, untilItStops } from "./loopback.ts";

/** A listener, and what connects to it. */
interface Scene {
  readonly listener: LocalListener;
  connect(): Promise<Deno.Conn>;
}

const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;

/** Runs a test with both kinds of sockets, over TCP and at a path. */
function testBoth(name: string, test: (scene: Scene) => Promise<void>): void {
  for (const kind of ["own", "Deno's"] as const) {
    for (const transport of ["TCP", "Unix"] as const) {
      Deno.test(`${name}: ${kind} sockets, ${transport}`, async () => {
        const before = descriptors();
        const epoll = kind === "own" ? new EventLoopEpoll() : undefined;
        const streams: StreamSockets | undefined = epoll && new EventLoopStreams(epoll);
        const path = `${await Deno.makeTempDir()}/socket`;
        const listener = await listenLocally({ at: transport === "TCP" ? ANY_PORT : { path } }, streams);
        const { at } = listener;
        const connect = () =>
          "path" in at ? Deno.connect({ transport: "unix", path }) : Deno.connect({ ...at });
        try {
          await test({ listener, connect });
        } finally {
          closeQuietly(listener);
          epoll?.close();
          await epoll?.ended;
        }
        await eventually("all descriptors to be closed", () => descriptors() <= before, { every: 5 });
      });
    }
  }
}

/** A connection, the program's end first. */
async function pair({ listener, connect }: Scene): Promise<[Deno.Conn, LocalConn]> {
  return await Promise.all([connect(), listener.accept()]);
}

testBoth("each direction of a connection ends for itself", async (scene) => {
  const [program, ours] = await pair(scene);
  await program.write(Uint8Array.of(1, 2));
  await program.closeWrite();
  deepEqual(await exactly(ours as Deno.Conn, 2), Uint8Array.of(1, 2));
  equal(await ours.read(new Uint8Array(9)), null);
  equal(await ours.read(new Uint8Array(9)), null);
  await writeAll(ours, Uint8Array.of(3));
  await ours.closeWrite();
  deepEqual(await exactly(program, 1), Uint8Array.of(3));
  equal(await program.read(new Uint8Array(9)), null);
  program.close();
  ours.close();
});

testBoth(
  "a program that does not read stops the writer, and gets everything when it reads",
  async (scene) => {
    const [program, ours] = await pair(scene);
    const sent = crypto.getRandomValues(new Uint8Array(65_536));
    const CHUNKS = 400;
    let written = 0;
    const writing = (async () => {
      for (; written < CHUNKS; written++) await writeAll(ours, sent);
      await ours.closeWrite();
    })();
    await untilItStops(() => written);
    ok(written < CHUNKS);
    for (let chunk = 0; chunk < CHUNKS; chunk++) {
      deepEqual(await exactly(program, sent.length), sent);
    }
    await writing;
    equal(await program.read(new Uint8Array(1)), null);
    program.close();
    ours.close();
  },
);

testBoth("bytes arrive whole while both write", async (scene) => {
  const [program, ours] = await pair(scene);
  const sent = Uint8Array.from({ length: 3_000_000 }, (_, i) => i * i >>> 7);
  const [there, back] = await Promise.all([
    exactly(ours as Deno.Conn, sent.length),
    exactly(program, sent.length),
    writeAll(program, sent),
    writeAll(ours, sent),
  ]);
  deepEqual([there.length, there.every((byte, i) => byte === sent[i])], [sent.length, true]);
  ok(back.every((byte, i) => byte === sent[i]));
  program.close();
  ours.close();
});

testBoth("closing ends a read that waits", async (scene) => {
  const [program, ours] = await pair(scene);
  const reading = rejects(ours.read(new Uint8Array(1)));
  await new Promise((resolve) => setTimeout(resolve));
  ours.close();
  await reading;
  equal(await program.read(new Uint8Array(1)), null);
  program.close();
});

testBoth("a reader and a writer learn that the program has gone", async (scene) => {
  const [program, ours] = await pair(scene);
  // It leaves something unread, so TCP resets the connection.
  await writeAll(ours, Uint8Array.of(1));
  const reading = ours.read(new Uint8Array(1)).catch(() => null);
  await new Promise((resolve) => setTimeout(resolve, 20));
  program.close();
  equal(await reading, null);
  await rejects(async () => {
    for (;;) await writeAll(ours, new Uint8Array(65_536));
  });
  ours.close();
});

testBoth("a listener that is closed ends an accept that waits", async ({ listener }) => {
  const accepting = rejects(
    listener.accept(),
    (error) => error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted,
  );
  await new Promise((resolve) => setTimeout(resolve));
  listener.close();
  await accepting;
});

testBoth("a thousand programs at once are all answered", async ({ listener, connect }) => {
  const COUNT = 1_000;
  const accepting = (async () => {
    for (let count = 0; count < COUNT; count++) {
      const conn = await listener.accept();
      (async () => {
        const buffer = new Uint8Array(10);
        await writeAll(conn, buffer.subarray(0, (await conn.read(buffer))!));
        conn.close();
      })();
    }
  })();
  const answers = await Promise.all(Array.from({ length: COUNT }, async (_, i) => {
    const conn = await connect();
    await conn.write(Uint8Array.of(i));
    const [answer] = await exactly(conn, 1);
    conn.close();
    return answer;
  }));
  await accepting;
  deepEqual(answers, Array.from({ length: COUNT }, (_, i) => i & 0xff));
});

/** Runs a test with our own sockets over TCP. */
async function withOwn(
  test: (scene: Scene) => Promise<void>,
  at: { hostname: string; port: number } = ANY_PORT,
): Promise<void> {
  const epoll = new EventLoopEpoll();
  const listener = await listenLocally({ at }, new EventLoopStreams(epoll));
  try {
    const connect = () => Deno.connect(listener.at as Deno.ConnectOptions);
    await test({ listener, connect });
  } finally {
    closeQuietly(listener);
    epoll.close();
    await epoll.ended;
  }
}

Deno.test("our own connections report without a buffer that something has arrived", () =>
  withOwn(async (scene) => {
    const [program, ours] = await pair(scene) as [Deno.Conn, LocalConn & Immediate];
    const buffer = new Uint8Array(4);
    let woken = 0;
    const arrival = () =>
      new Promise<void>((resolve) => ours.whenReadable({ wake: () => resolve(void woken++) }));
    equal(ours.readNow(buffer), undefined);
    const waiting = arrival();
    await new Promise((resolve) => setTimeout(resolve, 20));
    equal(woken, 0);
    await program.write(Uint8Array.of(7));
    await waiting;
    deepEqual([ours.readNow(buffer), buffer[0], ours.readNow(buffer)], [1, 7, undefined]);
    program.close();
    await arrival();
    equal(ours.readNow(buffer), null);
    // The end need not be waited for, and is told as often as it is asked.
    await arrival();
    equal(await ours.read(buffer), null);
    ours.close();
  }));

Deno.test("our own connections report the end of a stream that comes after its last bytes were read", () =>
  withOwn(async (scene) => {
    const [program, ours] = await pair(scene) as [Deno.Conn, LocalConn & Immediate];
    const buffer = new Uint8Array(4);
    const arrival = () => new Promise<void>((wake) => ours.whenReadable({ wake }));
    for (const pause of [0, 20]) {
      await program.write(Uint8Array.of(7));
      await arrival();
      equal(ours.readNow(buffer), 1);
      // Not read once more: what comes before the next wait is reported as well as what comes during it.
      if (pause > 0) await program.closeWrite();
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
    await arrival();
    equal(ours.readNow(buffer), null);
    program.close();
    ours.close();
  }));

Deno.test("a program is reported only to those who wait for it, once", async () => {
  const epoll = new EventLoopEpoll();
  const streams = new EventLoopStreams(epoll);
  let reports = 0;
  const counting: StreamSockets = {
    ...streams,
    watch: (fd, waiter) => streams.watch(fd, waiter),
    watchOnce: (fd, waiter, arrivals, room) => {
      const wake = () => {
        reports++;
        waiter.wake();
      };
      streams.watchOnce(fd, { wake }, arrivals, room);
    },
    close: (fd) => streams.close(fd),
    describe: (errno) => streams.describe(errno),
  };
  const listener = await listenLocally({ at: ANY_PORT }, counting);
  const connect = () => Deno.connect(listener.at as Deno.ConnectOptions);
  const [program, ours] = await pair({ listener, connect }) as [Deno.Conn, LocalConn & Immediate];
  const arrival = () => new Promise<void>((wake) => ours.whenReadable({ wake }));
  const writeThree = async () => {
    for (let i = 0; i < 3; i++) {
      await program.write(Uint8Array.of(i));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  await writeThree();
  equal(reports, 0);
  await arrival();
  await writeThree();
  equal(reports, 1);
  await arrival();
  equal(reports, 2, "nothing was read");
  equal(ours.readNow(new Uint8Array(9)), 6);
  program.close();
  ours.close();
  listener.close();
  epoll.close();
  await epoll.ended;
});

Deno.test("aborting our own connection resets it", () =>
  withOwn(async (scene) => {
    const [program, ours] = await pair(scene);
    ours.abort!();
    ours.close();
    await rejects(() => program.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
    program.close();
  }));

/** A relay between two programs. */
async function relayed(
  scene: Scene,
): Promise<{ first: Deno.Conn; second: Deno.Conn; failure: Promise<void> }> {
  const [first, one] = await pair(scene);
  const [second, other] = await pair(scene);
  const failure = rejects(relay(one, other), Deno.errors.ConnectionReset).finally(() => {
    one.close();
    other.close();
  });
  return { first, second, failure };
}

Deno.test("a relay learns that a program has reset its connection while the other does not read", () =>
  withOwn(async (scene) => {
    const { first, second, failure } = await relayed(scene);
    let written = 0;
    const writing = (async () => {
      for (;;) written += await first.write(new Uint8Array(65_536));
    })().catch(() => {});
    await untilItStops(() => written);
    // It leaves this unread, so TCP resets the connection.
    await second.write(Uint8Array.of(1));
    await new Promise((resolve) => setTimeout(resolve, 20));
    first.close();
    await Promise.all([failure, writing]);
    second.close();
  }));

Deno.test("a relay learns that a program has reset its connection after the end of its stream", () =>
  withOwn(async (scene) => {
    const { first, second, failure } = await relayed(scene);
    await first.closeWrite();
    equal(await second.read(new Uint8Array(1)), null);
    await second.write(Uint8Array.of(1));
    await new Promise((resolve) => setTimeout(resolve, 20));
    first.close();
    await failure;
    second.close();
  }));

Deno.test("a listener that is closed while others have their turn closes the connection that it has taken", async () => {
  const taken = new Set<number>();
  let next = 3;
  const sockets = {
    accept() {
      taken.add(next);
      return next++;
    },
    close: (fd: number) => taken.delete(fd),
    localName: () => null,
    watch: () => {},
  };
  const listener = new SocketListener(sockets as Partial<StreamSockets> as StreamSockets, 2);
  // One of these calls waits for the others' turn, and sees the end of the listener then.
  const calls = Array.from({ length: 16 }, () => listener.accept());
  listener.close();
  const results = await Promise.allSettled(calls);
  equal(taken.size, results.filter(({ status }) => status === "fulfilled").length);
  ok(taken.size < 16);
});

Deno.test("programs that connect and send without a pause do not stop this program", async () => {
  const [listening, connected] = [3, 4];
  const endless = {
    accept: () => connected,
    receive: (_fd: number, into: Uint8Array) => into.length,
    localName: () => null,
    watch: () => {},
  };
  const listener = new SocketListener(endless as Partial<StreamSockets> as StreamSockets, listening);
  const conn = await listener.accept();
  for (const again of [() => listener.accept(), () => conn.read(new Uint8Array(8))]) {
    let others = 0;
    const timer = setInterval(() => others++);
    for (let count = 0; count < 1_000; count++) await again();
    clearInterval(timer);
    ok(others >= 10, `${others} times`);
  }
});

Deno.test("our own sockets are not inherited by other programs", () =>
  withOwn(async (scene) => {
    const sockets = async () => {
      const { stdout } = await new Deno.Command("ls", { args: ["-l", "/proc/self/fd"] }).output();
      return new TextDecoder().decode(stdout).match(/socket:/g)?.length ?? 0;
    };
    const before = await sockets();
    const [program, ours] = await pair(scene);
    const own = descriptors();
    ok(own >= before + 3);
    equal(await sockets(), before);
    program.close();
    ours.close();
  }));

Deno.test("our own sockets listen at addresses of IPv6, and know both ends", () =>
  withOwn(async (scene) => {
    const [program, ours] = await pair(scene);
    deepEqual([ours.localAddr, ours.remoteAddr], [program.remoteAddr, program.localAddr]);
    equal((ours.localAddr as Deno.NetAddr).hostname, "::1");
    program.close();
    ours.close();
  }, { hostname: "::1", port: 0 }));

Deno.test("a listener of ours says once that the process has no free descriptor, and continues when it has", async () => {
  const program = `
    import { EventLoopEpoll } from "${import.meta.resolve("../../../ffi/linux/event_loop_epoll.ts")}";
    import { EventLoopStreams } from "${import.meta.resolve("../../../core/tunnel/event_loop_streams.ts")}";
    import { listenLocally } from "${import.meta.resolve("../../../core/net/local_listener.ts")}";
    import { accepted, writeAll } from "${import.meta.resolve("../../../core/net/relay.ts")}";
    const at = { hostname: "127.0.0.1", port: 0 };
    const listener = await listenLocally({ at }, new EventLoopStreams(new EventLoopEpoll()));
    const files = [];
    try {
      for (;;) files.push(Deno.openSync("/dev/null"));
    } catch {}
    console.log(listener.at.port);
    for await (const conn of accepted(listener, ({ message }) => {
      console.log(message);
      // It has tried three more times until then.
      setTimeout(() => files.splice(0).forEach((file) => file.close()), 350);
    })) {
      await writeAll(conn, Uint8Array.of(7));
      conn.close();
    }`;
  const process = new Deno.Command("sh", {
    args: ["-c", 'ulimit -n 64; exec "$0" eval --no-check "$1"', Deno.execPath(), program],
    stdout: "piped",
  }).spawn();
  const output = process.stdout.pipeThrough(new TextLineStream()).getReader();
  const port = Number((await output.read()).value);
  // accept4(2) takes a descriptor before it looks for a connection, so this is said before anybody connects.
  match((await output.read()).value!, /^accepting a connection: too many open files$/);
  for (let count = 0; count < 3; count++) {
    using conn = await Deno.connect({ hostname: "127.0.0.1", port });
    equal((await exactly(conn, 1))[0], 7);
  }
  process.kill("SIGKILL");
  await process.status;
  deepEqual(await output.read(), { done: true, value: undefined }, "it said nothing more");
});
