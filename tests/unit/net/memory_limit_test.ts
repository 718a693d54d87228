/**
 * The limits of a userspace stack: bytes in buffers (`maxMemory`), and connections (`maxConnections`).
 *
 * @module
 */

import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { Proxy } from "../../../core/net/proxy.ts";
import { NO_RULES } from "../../../core/proxy/rules.ts";
import { formatConnect } from "../../../core/proxy/socks5.ts";
import { eventually } from "../../netns/lab/exec.ts";
import { concat } from "../proxy/client_hello.ts";
import { ANY_PORT, exactly, portsOf, untilItStops } from "./loopback.ts";
import { NetPair } from "./pair.ts";

const MIB = 1 << 20;

/** Connections from near to far that write until there is no room, because nobody reads. */
class Flood implements Disposable {
  /** Bytes. */
  written = 0;
  readonly #ends: { close(): void }[] = [];

  static async begin({ near, far }: NetPair, connections: number): Promise<Flood> {
    const flood = new Flood();
    const listener = far.listen({ port: 99 });
    flood.#ends.push(listener);
    (async () => {
      for await (const conn of listener) flood.#ends.push(conn);
    })().catch(() => {});
    const open = Array.from({ length: connections }, async () => {
      const conn = await near.connect({ hostname: "10.9.0.2", port: 99 });
      flood.#ends.push(conn);
      return conn;
    });
    const bytes = new Uint8Array(65_536);
    for (const conn of await Promise.all(open)) {
      (async () => {
        for (;;) flood.written += await conn.write(bytes);
      })().catch(() => {});
    }
    return flood;
  }

  /** Closes them; may be called twice. */
  [Symbol.dispose](): void {
    for (const end of this.#ends.splice(0)) end.close();
  }
}

Deno.test("the buffers of connections stay within maxMemory on both sides, and closing gives it back", async () => {
  await using pair = await NetPair.up({ maxMemory: MIB });
  const { near, far } = pair;
  using flood = await Flood.begin(pair, 100);
  let [most, before] = [0, -1];
  // Until nothing more can be written.
  await eventually("all buffers to be full", async () => {
    for (const net of [near, far]) most = Math.max(most, (await net.state()).bufferedBytes);
    const full = most > MIB / 4 && flood.written === before;
    before = flood.written;
    return full;
  }, { every: 200 });
  ok(most <= MIB, `${most} bytes`);
  flood[Symbol.dispose]();
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

Deno.test("a proxy at the limit of connections says so to its programs, and serves again afterwards", async () => {
  await using pair = await NetPair.up({ maxConnections: 3 });
  using listener = pair.far.listen({ port: 99 });
  const far: Deno.Conn[] = [];
  (async () => {
    for await (const conn of listener) far.push(conn);
  })().catch(() => {});
  using proxy = await Proxy.start(
    pair.near,
    { ...NO_RULES, socks5: [{ at: ANY_PORT }], http: [{ at: ANY_PORT }] },
    () => {},
  );
  const [socks, http] = portsOf(proxy.listening) as [number, number];
  const ask = async (port: number, request: Uint8Array, length: number) => {
    const program = await Deno.connect({ hostname: "127.0.0.1", port });
    await program.write(request);
    return { program, answer: await exactly(program, length) };
  };
  const target = { host: "10.9.0.2", port: 99 };
  const bySocks = () => ask(socks, formatConnect(target), 12);
  const byHttp = () => ask(http, new TextEncoder().encode("CONNECT 10.9.0.2:99 HTTP/1.1\r\n\r\n"), 12);
  const code = ({ answer }: { answer: Uint8Array }) => answer[3];
  const status = ({ answer }: { answer: Uint8Array }) => new TextDecoder().decode(answer);

  const granted = [await bySocks(), await bySocks(), await byHttp()];
  deepEqual([code(granted[0]!), code(granted[1]!), status(granted[2]!)], [0, 0, "HTTP/1.1 200"]);
  const refused = [await bySocks(), await byHttp()];
  deepEqual([code(refused[0]!), status(refused[1]!)], [1, "HTTP/1.1 503"]);
  equal(proxy.counters.refused["too many connections"], 2);

  // A connection stays in TIME-WAIT if our end closes first.
  await eventually("the peer's ends", () => far.length === 3, { every: 5 });
  for (const { program } of refused) program.close();
  far[0]!.close();
  await granted[0]!.program.read(new Uint8Array(1));
  granted[0]!.program.close();
  await eventually("a free place", async () => (await pair.near.state()).connections === 2, { every: 20 });
  const again = await bySocks();
  equal(code(again), 0);
  for (const { program } of [...granted.slice(1), again]) program.close();
  for (const conn of far.slice(1)) conn.close();
});

Deno.test("while the buffers of connections are full, UDP and names work through the same tunnel", async () => {
  await using pair = await NetPair.up({ maxMemory: MIB }, "DNS = 10.9.0.2");
  const { near, far } = pair;
  const dns = far.listenDatagram({ port: 53 });
  (async () => {
    for await (const [query, from] of dns) await dns.send(answerWithA(query, [10, 9, 0, 7]), from);
  })().catch(() => {});
  using flood = await Flood.begin(pair, 50);
  await untilItStops(() => flood.written);
  deepEqual(await near.resolveDns("intranet.test", "A"), ["10.9.0.7"]);
  dns.close();
});

/** The answer to a query: an address of its name. */
function answerWithA(query: Uint8Array, address: readonly number[]): Uint8Array {
  const question = query.slice(12, query.indexOf(0, 12) + 5);
  const header = Uint8Array.of(query[0]!, query[1]!, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0);
  return concat(header, question, Uint8Array.of(0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address));
}
