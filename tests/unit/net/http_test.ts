import { deepEqual, equal, rejects } from "node:assert/strict";
import { NetPair } from "./pair.ts";

Deno.test("fetch() reaches a server in the tunnel, over both address families", async () => {
  await using pair = await NetPair.up();
  const { near, far } = pair;
  await using _server = far.serve({ port: 80 }, async (request, { remoteAddr }) => {
    const { pathname, host } = new URL(request.url);
    return Response.json({
      method: request.method,
      pathname,
      host,
      from: remoteAddr.hostname,
      body: await request.text(),
    }, { status: 201, headers: { "X-Own": "1" } });
  });
  for (const [host, from] of [["10.9.0.2", "10.9.0.1"], ["[fd09::2]", "fd09::1"]] as const) {
    const response = await near.fetch(`http://${host}/path?query`, { method: "POST", body: "hello" });
    deepEqual([response.status, response.headers.get("x-own")], [201, "1"]);
    deepEqual(await response.json(), { method: "POST", pathname: "/path", host, from, body: "hello" });
  }
  for (let i = 0; i < 20; i++) equal((await (await near.fetch("http://10.9.0.2/")).json()).method, "GET");
});

Deno.test("fetch() sends and receives a large body", async () => {
  await using pair = await NetPair.up();
  const { near, far } = pair;
  await using _server = far.serve({ port: 80 }, (request) => new Response(request.body));
  const data = crypto.getRandomValues(new Uint8Array(60_000));
  const whole = new Uint8Array(50 * data.length);
  for (let i = 0; i < 50; i++) whole.set(data, i * data.length);
  const response = await near.fetch("http://10.9.0.2/", { method: "POST", body: whole });
  deepEqual(new Uint8Array(await response.arrayBuffer()), whole);
});

Deno.test("fetch() fails if no server listens, and never uses the machine's own network", async () => {
  await using pair = await NetPair.up();
  // A server listens at the same address and port of this machine. It must not get a request.
  let asked = 0;
  await using own = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response(`${++asked}`),
  );
  await rejects(pair.near.fetch("http://10.9.0.2:81/"), TypeError);
  await rejects(
    pair.near.fetch(`http://127.0.0.1:${own.addr.port}/`, { signal: AbortSignal.timeout(2_000) }),
  );
  await rejects(pair.near.fetch(`http://localhost:${own.addr.port}/`), TypeError);
  equal(asked, 0);
});

Deno.test("a handler that throws answers 500, and the next request is served", async () => {
  await using pair = await NetPair.up();
  let number = 0;
  await using _server = pair.far.serve({
    port: 80,
    onError: () => new Response("sorry", { status: 500 }),
  }, () => {
    if (number++ === 0) throw new Error("no");
    return new Response("yes");
  });
  const first = await pair.near.fetch("http://10.9.0.2/");
  deepEqual([first.status, await first.text()], [500, "sorry"]);
  equal(await (await pair.near.fetch("http://10.9.0.2/")).text(), "yes");
});

Deno.test("shutdown() finishes pending requests and closes idle connections", async () => {
  await using pair = await NetPair.up();
  const [asked, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const server = pair.far.serve({ port: 80 }, async ({ url }) => {
    if (!url.endsWith("/slow")) return new Response("quick");
    asked.resolve();
    await go.promise;
    return new Response("slow, ".repeat(20_000));
  });
  equal(await (await pair.near.fetch("http://10.9.0.2/")).text(), "quick");
  using idle = await pair.near.connect({ hostname: "10.9.0.2", port: 80 });
  const answer = pair.near.fetch("http://10.9.0.2/slow").then((response) => response.text());
  await asked.promise;
  const ended = server.shutdown();
  equal(await idle.read(new Uint8Array(1)), null);
  go.resolve();
  equal((await answer).length, 120_000);
  await ended;
  await rejects(pair.near.connect({ hostname: "10.9.0.2", port: 80 }), Deno.errors.ConnectionRefused);
});
