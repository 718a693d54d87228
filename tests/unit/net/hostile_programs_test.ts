/**
 * Hostile programs at a proxy: they send nothing, or too little, or need too much.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { Proxy, type ProxyLimits } from "../../../core/net/proxy.ts";
import { NO_RULES } from "../../../core/proxy/rules.ts";
import { eventually } from "../../netns/lab/exec.ts";
import { clientHello, records, serverNames } from "../proxy/client_hello.ts";
import { ANY_PORT, exactly, portsOf } from "./loopback.ts";
import { NetPair } from "./pair.ts";

/** A proxy with a SOCKS5 port and a forward to a page, between two tunnels. */
class Scene implements AsyncDisposable {
  private constructor(
    readonly pair: NetPair,
    readonly proxy: Proxy,
    readonly socks: number,
    readonly http: number,
    readonly sni: number,
  ) {}

  static async create(limits: ProxyLimits = {}): Promise<Scene> {
    const pair = await NetPair.up();
    pair.far.serve({ port: 80 }, () => new Response("hello"));
    const proxy = await Proxy.start(
      pair.near,
      {
        ...NO_RULES,
        socks5: [{ at: ANY_PORT }],
        http: [{ at: ANY_PORT }],
        sni: [{ at: ANY_PORT }],
        forwards: [{ from: ANY_PORT, to: { host: "10.9.0.2", port: 80 } }],
      },
      () => {},
      limits,
    );
    const [socks, http, sni] = portsOf(proxy.listening) as [number, number, number];
    return new Scene(pair, proxy, socks, http, sni);
  }

  /** Gets the page through SOCKS5, like a well-behaved program. */
  async hello(): Promise<string> {
    const conn = await connect(this.socks);
    await conn.write(Uint8Array.of(5, 1, 0, 5, 1, 0, 1, 10, 9, 0, 2, 0, 80));
    const encoder = new TextEncoder();
    await exactly(conn, 12);
    await conn.write(encoder.encode("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    return /hello/.exec(await new Response(conn.readable).text())?.[0] ?? "nothing";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.proxy[Symbol.dispose]();
    await this.pair[Symbol.asyncDispose]();
  }
}

const connect = (port: number) => Deno.connect({ hostname: "127.0.0.1", port });

/** Waits until the proxy has disconnected. @returns Whether it has. */
async function hungUp(conn: Deno.Conn): Promise<boolean> {
  return await conn.read(new Uint8Array(64)).catch(() => null) === null;
}

Deno.test("10,000 silent programs take 1,024 places and do not block the proxy for others", async () => {
  await using scene = await Scene.create();
  const silent: Deno.TcpConn[] = [];
  for (let i = 0; i < 10_000; i++) {
    silent.push(await connect(i % 2 === 0 ? scene.socks : scene.http));
    if (i % 10 === 0) await silent.at(-1)!.write(Uint8Array.of(i % 20 === 0 ? 5 : 71));
    // It was disconnected long ago; its descriptor belongs to this test.
    if (silent.length <= 2_048) continue;
    const old = silent.shift()!;
    ok(await hungUp(old));
    old.close();
  }
  equal(await scene.hello(), "hello");
  const { halfOpen, hungUp: ended, connections } = scene.proxy.counters;
  ok(halfOpen > 900 && halfOpen <= 1_024, `${halfOpen} half-open`);
  // 500 of those on the port for SOCKS5 began with another protocol.
  ok(ended >= 10_000 - 500 - 1_024, `${ended} hung up on`);
  equal(connections.socks5.accepted + connections.http.accepted, 10_001);
  for (const conn of silent) conn.close();
});

Deno.test("a program that sends a byte now and then is disconnected when its time is over", async () => {
  await using scene = await Scene.create({ patience: 300 });
  const hello = records(clientHello({ extensions: [[0, serverNames([0, "10.9.0.2"])]] }));
  for (
    const [port, bytes] of [
      [scene.socks, new Uint8Array(100).fill(5)],
      [scene.http, new Uint8Array(100).fill(71)],
      [scene.sni, hello],
    ] as const
  ) {
    using conn = await connect(port);
    const begun = performance.now();
    let next = 0;
    const dripping = setInterval(() => conn.write(bytes.subarray(next, ++next)).catch(() => {}), 50);
    ok(await hungUp(conn));
    clearInterval(dripping);
    const took = performance.now() - begun;
    ok(took > 250 && took < 20_000, `${took} ms`);
  }
  equal(await scene.hello(), "hello");
});

Deno.test("a program whose target never answers gets an error when its time is over", async () => {
  await using scene = await Scene.create({ patience: 300 });
  scene.pair.far.close();
  using conn = await connect(scene.socks);
  await conn.write(Uint8Array.of(5, 1, 0, 5, 1, 0, 1, 10, 9, 0, 2, 0, 80));
  // "TTL expired" (RFC 1928 §6) is the most similar code.
  deepEqual([...(await exactly(conn, 12)).subarray(0, 4)], [5, 0, 5, 6]);
  ok(await hungUp(conn));
  const { refused, connections } = scene.proxy.counters;
  deepEqual([refused["timed out"], connections.socks5.open], [1, 0]);
});

Deno.test("the number of programs with UDP over SOCKS5 is limited, and their places become free", async () => {
  await using scene = await Scene.create({ associations: 2 });
  const associate = async (): Promise<[Deno.Conn, number]> => {
    const conn = await connect(scene.socks);
    await conn.write(Uint8Array.of(5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0));
    return [conn, (await exactly(conn, 12))[3]!];
  };
  const [first, granted] = await associate();
  const [second] = await associate();
  const [third, refused] = await associate();
  deepEqual([granted, refused, scene.proxy.counters.associations], [0, 1, 2]);
  first.close();
  await eventually("its place to be free", () => scene.proxy.counters.associations === 1, { every: 5 });
  const [fourth, again] = await associate();
  equal(again, 0);
  for (const conn of [second, third, fourth]) conn.close();
});

Deno.test("programs that never read use no more than the tunnel's memory limit, and others can still connect", async () => {
  await using pair = await NetPair.up();
  const endless = pair.far.listen({ port: 99 });
  (async () => {
    const bytes = new Uint8Array(65_536);
    for await (const conn of endless) {
      (async () => {
        for (;;) await conn.write(bytes);
      })().catch(() => {});
    }
  })();
  pair.far.serve({ port: 80 }, () => new Response("hello"));
  const forward = (port: number) => ({ from: ANY_PORT, to: { host: "10.9.0.2", port } });
  using proxy = await Proxy.start(
    pair.near,
    { ...NO_RULES, forwards: [forward(99), forward(80)] },
    () => {},
  );
  const [hoard, page] = portsOf(proxy.listening) as [number, number];
  const deaf = await Promise.all(Array.from({ length: 20 }, () => connect(hoard)));
  await eventually("all to be connected", () => proxy.standing === 20);
  for (let i = 0; i < 20; i++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    ok((await pair.near.state()).bufferedBytes <= 64 << 20);
  }
  equal(await (await fetch(`http://127.0.0.1:${page}/`)).text(), "hello");
  for (const conn of deaf) conn.close();
});
