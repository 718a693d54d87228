import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { setImmediate } from "node:timers";
import type { NetConn } from "../../../core/net/api.ts";
import { NetPair } from "./pair.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (text: string) => new TextEncoder().encode(text);

async function whole(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer());
}

Deno.test("two nets in one program communicate over TCP, with both address families, and half-close", async () => {
  await using pair = await NetPair.up();
  const { near, far } = pair;
  using listener = far.listen({ port: 80 });
  for (const hostname of ["10.9.0.2", "fd09::2"]) {
    using conn = await near.connect({ hostname, port: 80 });
    using peer = await listener.accept();
    deepEqual([conn.remoteAddr.hostname, conn.remoteAddr.port], [hostname, 80]);
    deepEqual(peer.remoteAddr, conn.localAddr);
    equal(await conn.write(bytes("question")), 8);
    await conn.closeWrite();
    equal(text(await whole(peer.readable)), "question");
    const writer = peer.writable.getWriter();
    await writer.write(bytes("answer"));
    await writer.close();
    equal(text(await whole(conn.readable)), "answer");
  }
});

Deno.test("what is written when a connection opens leaves with the acknowledgement of the handshake", async () => {
  await using pair = await NetPair.up();
  const { near, far } = pair;
  using listener = far.listen({ port: 80 });
  await near.ping("10.9.0.2");
  const before = (await near.state()).peers[0]!.txBytes;
  using _conn = await near.connect({ hostname: "10.9.0.2", port: 80 }, (conn) => void conn.write(bytes("x")));
  using peer = await listener.accept();
  equal(await peer.read(new Uint8Array(10)), 1);
  // Each packet is padded to 64 bytes, and 32 are added.
  equal((await near.state()).peers[0]!.txBytes - before, 2 * 96);
});

Deno.test("what is written when a connection opens leaves at once, not in a later turn", async () => {
  await using pair = await NetPair.up();
  const { near, far } = pair;
  using listener = far.listen({ port: 80 });
  await near.ping("10.9.0.2");
  await near.connect({ hostname: "10.9.0.2", port: 80 }, (conn) => {
    void conn.write(bytes("x"));
    // Before the event loop gives another turn. What has not left by then never arrives.
    setImmediate(() => near.close());
  });
  const late = setTimeout(() => listener.close(), 2_000);
  using peer = await listener.accept();
  clearTimeout(late);
  equal(await peer.read(new Uint8Array(10)), 1);
});

Deno.test("megabytes arrive complete in both directions at once, with back-pressure", async () => {
  await using pair = await NetPair.up();
  const { near, far } = pair;
  using listener = far.listen({ port: 80 });
  using conn = await near.connect({ hostname: "10.9.0.2", port: 80 });
  using peer = await listener.accept();
  const data = [
    crypto.getRandomValues(new Uint8Array(65_536)),
    crypto.getRandomValues(new Uint8Array(65_536)),
  ];
  const ROUNDS = 64;
  const send = async (to: WritableStream<Uint8Array>, part: Uint8Array) => {
    const writer = to.getWriter();
    for (let i = 0; i < ROUNDS; i++) await writer.write(part);
    await writer.close();
  };
  const check = async (from: ReadableStream<Uint8Array>, part: Uint8Array) => {
    let at = 0;
    for await (const chunk of from) {
      for (const byte of chunk) {
        if (byte !== part[at++ % part.length]) throw new Error(`a wrong byte at ${at - 1}`);
      }
    }
    equal(at, ROUNDS * part.length);
  };
  await Promise.all([
    send(conn.writable, data[0]!),
    send(peer.writable, data[1]!),
    check(peer.readable, data[0]!),
    check(conn.readable, data[1]!),
  ]);
  const { peers: [state] } = await near.state();
  ok(Number(state!.rxBytes) > ROUNDS * 65_536 && Number(state!.txBytes) > ROUNDS * 65_536);
});

Deno.test("a read returns all that has arrived, as far as it fits", async () => {
  await using pair = await NetPair.up();
  const { near, far } = pair;
  using listener = far.listen({ port: 80 });
  const [conn, peer] = await Promise.all([
    near.connect({ hostname: "10.9.0.2", port: 80 }),
    listener.accept(),
  ]);
  // More than a block of the receive buffer holds.
  const sent = crypto.getRandomValues(new Uint8Array(50_000));
  for (let written = 0; written < sent.length;) written += await conn.write(sent.subarray(written));
  await conn.closeWrite();
  await near.flushed(AbortSignal.timeout(10_000));
  const buffer = new Uint8Array(40_000);
  equal(await peer.read(buffer), 40_000);
  deepEqual(buffer, sent.subarray(0, 40_000));
  equal(await peer.read(buffer), 10_000);
  deepEqual(buffer.subarray(0, 10_000), sent.subarray(40_000));
  equal(await peer.read(buffer), null);
  conn.close();
  peer.close();
});

Deno.test("a connection to a closed port is refused, and an unanswered one ends when its signal is aborted", async () => {
  await using pair = await NetPair.up();
  const { near } = pair;
  await rejects(near.connect({ hostname: "10.9.0.2", port: 81 }), Deno.errors.ConnectionRefused);
  await rejects(near.connect({ hostname: "fd09::2", port: 81 }), /\[fd09::2\]:81 refused/);
  // An address without a peer.
  await rejects(
    near.connect({ hostname: "10.9.0.9", port: 80, signal: AbortSignal.timeout(50) }),
    (error: Error) => error.name === "TimeoutError" || error instanceof Deno.errors.NetworkUnreachable,
  );
});

Deno.test("datagrams arrive in both directions, and a closed port is reported", async () => {
  await using pair = await NetPair.up();
  const { near, far } = pair;
  const server = far.listenDatagram({ port: 53 });
  const client = near.listenDatagram({ port: 0 });
  await client.send(bytes("question"), { transport: "udp", hostname: "10.9.0.2", port: 53 });
  const [question, from] = await server.receive();
  equal(text(question), "question");
  await server.send(bytes("answer"), from);
  equal(text((await client.receive())[0]), "answer");
  await client.send(bytes("?"), { transport: "udp", hostname: "10.9.0.2", port: 54 });
  await rejects(client.receive(), Deno.errors.ConnectionRefused);
  await rejects(
    client.send(new Uint8Array(2_000), { transport: "udp", hostname: "10.9.0.2", port: 53 }),
    /does not fit the tunnel's MTU of 1420/,
  );
});

Deno.test("ping() measures a round trip", async () => {
  await using pair = await NetPair.up();
  for (const hostname of ["10.9.0.2", "fd09::2"]) ok(await pair.near.ping(hostname) < 5_000);
});

Deno.test("pending operations fail with the reason when the tunnel is closed", async () => {
  await using pair = await NetPair.up();
  const { near, far } = pair;
  const listener = far.listen({ port: 80 });
  const conn = await near.connect({ hostname: "10.9.0.2", port: 80 });
  const peer = await listener.accept();
  const waiting = [conn.read(new Uint8Array(1)), listener.accept(), peer.read(new Uint8Array(1))];
  near.close();
  far.close();
  for (const promise of waiting) await rejects(promise, Deno.errors.ConnectionAborted);
  await rejects(near.connect({ hostname: "10.9.0.2", port: 80 }), Deno.errors.ConnectionAborted);
  await rejects(near.state(), Deno.errors.BadResource);
});

Deno.test("a closed connection resets data that the peer still sends, and is then removed", async () => {
  await using pair = await NetPair.up();
  const { near, far } = pair;
  using listener = far.listen({ port: 80 });
  const conn = await near.connect({ hostname: "10.9.0.2", port: 80 });
  const peer = await listener.accept();
  conn.close();
  await rejects(conn.read(new Uint8Array(1)), Deno.errors.BadResource);
  equal(await peer.read(new Uint8Array(1)), null);
  await rejects(async () => {
    for (let i = 0; i < 10_000; i++) {
      await peer.write(new Uint8Array(1_000));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }, Deno.errors.ConnectionReset);
});

Deno.test("waiting for peers ends without an error when the tunnel is closed", async () => {
  await using pair = await NetPair.up();
  const { near } = pair;
  const server = near.serve({ port: 80 }, () => new Response());
  const listener = near.listen({ port: 81 });
  const socket = near.listenDatagram({ port: 53 });
  const loops = [listener, socket].map(async (source) => {
    for await (const _ of source) throw new Error("nobody is there");
  });
  const accepting = listener.accept();
  near.close();
  await Promise.all([...loops, server.finished]);
  await rejects(accepting, Deno.errors.ConnectionAborted);
});

Deno.test("10,000 connections can be open at once, and need no buffers while idle", async () => {
  await using pair = await NetPair.up();
  const { near, far } = pair;
  const count = 10_000;
  const listener = far.listen({ port: 80 });
  const accepted: NetConn[] = [];
  const all = Promise.withResolvers<void>();
  const accepting = (async () => {
    for await (const conn of listener) if (accepted.push(conn) === count) all.resolve();
  })();
  const opened: NetConn[] = [];
  while (opened.length < count) {
    const some = Array.from({ length: 100 }, () => near.connect({ hostname: "10.9.0.2", port: 80 }));
    opened.push(...await Promise.all(some));
  }
  await all.promise;
  for (const net of [near, far]) {
    const { connections, bufferedBytes } = await net.state();
    deepEqual([connections, bufferedBytes], [count, 0]);
  }
  for (const place of [0, 4_999, 9_999]) {
    const conn = opened[place]!;
    const { port } = conn.localAddr;
    const other = accepted.find(({ remoteAddr }) => remoteAddr.port === port)!;
    await conn.write(new Uint8Array([7]));
    const byte = new Uint8Array(1);
    equal(await other.read(byte), 1);
    equal(byte[0], 7);
  }
  for (const conn of [...accepted, ...opened]) conn.close();
  listener.close();
  await accepting;
});
