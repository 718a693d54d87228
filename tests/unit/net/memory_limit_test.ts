/**
 * The limits of a userspace stack: bytes in buffers (`maxMemory`), and connections (`maxConnections`).
 *
 * @module
 */

import { equal, ok, rejects } from "node:assert/strict";
import { eventually } from "../../netns/lab/exec.ts";
import { NetPair } from "./pair.ts";

const MIB = 1 << 20;

Deno.test("the buffers of connections stay within maxMemory on both sides, and closing gives it back", async () => {
  await using pair = await NetPair.up({ maxMemory: MIB });
  const { near, far } = pair;
  const deaf: Deno.Conn[] = [];
  using listener = far.listen({ port: 99 });
  (async () => {
    for await (const conn of listener) deaf.push(conn);
  })().catch(() => {});
  const conns = await Promise.all(
    Array.from({ length: 100 }, () => near.connect({ hostname: "10.9.0.2", port: 99 })),
  );
  const bytes = new Uint8Array(65_536);
  let written = 0;
  for (const conn of conns) {
    (async () => {
      for (;;) written += await conn.write(bytes);
    })().catch(() => {});
  }
  let [most, before] = [0, -1];
  // Until nothing more can be written.
  await eventually("all buffers to be full", async () => {
    for (const net of [near, far]) most = Math.max(most, (await net.state()).bufferedBytes);
    const full = most > MIB / 4 && written === before;
    before = written;
    return full;
  }, { every: 200 });
  ok(most <= MIB, `${most} bytes`);
  for (const conn of [...conns, ...deaf]) conn.close();
  await eventually("the memory to be free", async () => {
    const [a, b] = await Promise.all([near.state(), far.state()]);
    return a.bufferedBytes === 0 && b.bufferedBytes === 0;
  });
});

Deno.test("one connection more than maxConnections is refused, and an aborted one no longer counts", async () => {
  await using pair = await NetPair.up({ maxConnections: 3 });
  using listener = pair.far.listen({ port: 99 });
  const far: Deno.Conn[] = [];
  (async () => {
    for await (const conn of listener) far.push(conn);
  })().catch(() => {});
  const connect = () => pair.near.connect({ hostname: "10.9.0.2", port: 99 });
  const conns = [await connect(), await connect(), await connect()];
  await rejects(
    connect(),
    (error) => error instanceof Deno.errors.ConnectionRefused && /maxConnections/.test(error.message),
  );
  equal((await pair.near.state()).connections, 3);
  conns[0]!.abort();
  // Its reset leaves first.
  await eventually("a free place", async () => (await pair.near.state()).connections === 2);
  for (const conn of [...conns.slice(1), ...far]) conn.close();
});
