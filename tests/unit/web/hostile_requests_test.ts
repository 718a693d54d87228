/**
 * Requests that no browser sends, to a server that listens.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { createApp } from "../../../core/web/app.ts";
import { TrustedProxies } from "../../../core/web/forwarded.ts";
import { serveApp } from "../../../core/web/server.ts";
import { BusyError } from "../../../core/web/sign_in/passwords.ts";
import { ADMIN, ORIGIN, World } from "./world.ts";

const HEAD = "POST /api/v1/sign-in HTTP/1.1\r\nHost: vpn.example.org\r\nOrigin: http://vpn.example.org\r\n" +
  "Content-Type: application/json\r\n";

/** Serves a world's API. @param work Gets what sends bytes and reads the answer, to its end or to ours. */
async function serving(
  work: (send: (text: string, hangUp?: boolean) => Promise<string>, world: World) => Promise<void>,
): Promise<void> {
  await using world = await World.start();
  const proxies = TrustedProxies.parse("127.0.0.1")!;
  const log = (text: string) => void world.log.push(text);
  const server = serveApp(createApp(world.context), { hostname: "127.0.0.1", port: 0 }, { proxies }, log);
  try {
    await work(async (text, hangUp = false) => {
      using connection = await Deno.connect({ hostname: "127.0.0.1", port: server.address.port });
      await connection.write(new TextEncoder().encode(text));
      if (hangUp) await connection.closeWrite();
      const decoder = new TextDecoder();
      let answer = "";
      const chunk = new Uint8Array(4_096);
      // The head is enough.
      while (!answer.includes("\r\n\r\n")) {
        const read = await connection.read(chunk);
        if (read === null) break;
        answer += decoder.decode(chunk.subarray(0, read));
      }
      return answer;
    }, world);
  } finally {
    await server.close();
  }
}

Deno.test("hostile: an invalid Host header is refused and not logged", async () => {
  await serving(async (send, world) => {
    for (const host of ['a b<>"', "[::", "a:b:c", "%zz", "a:99999"]) {
      const answer = await send(`GET /api/v1/me HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      match(answer, /^HTTP\/1\.1 400 /, host);
    }
    deepEqual(world.log, []);
  });
});

Deno.test("hostile: an incomplete body is not logged, and other requests are answered", async () => {
  await serving(async (send, world) => {
    for (let n = 0; n < 5; n++) await send(`${HEAD}Content-Length: 100\r\n\r\n{`, true);
    match(
      await send("GET /api/v1/setup HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
      /^HTTP\/1\.1 200 /,
    );
    deepEqual(world.log, []);
  });
});

Deno.test("hostile: a body that is cut off or too slow is a client error, not a server error", async () => {
  await using world = await World.start();
  const info = { address: "192.0.2.10", secure: true, host: "vpn.example.org" };
  const post = (body: ReadableStream<Uint8Array>) =>
    world.app.fetch(
      new Request(`${ORIGIN}/api/v1/sign-in`, {
        method: "POST",
        headers: { origin: ORIGIN, "content-type": "application/json" },
        body,
      }),
      info,
    );
  const broken = await post(
    new ReadableStream({ pull: (controller) => controller.error(new Error("reset")) }),
  );
  equal(broken.status, 400);
  equal((await broken.json()).error.code, "cut-off");

  // Its five seconds pass at once.
  const { setTimeout: wait } = globalThis;
  const times: number[] = [];
  globalThis.setTimeout = ((work: () => void, time: number) => {
    times.push(time);
    return wait(work, Math.min(time, 10));
  }) as typeof wait;
  try {
    const cancelled = Promise.withResolvers<void>();
    const slow = await post(new ReadableStream({ cancel: () => cancelled.resolve() }));
    equal(slow.status, 408);
    equal((await slow.json()).error.code, "too-slow");
    await cancelled.promise;
    ok(times.includes(5_000), `not 5 s: ${times}`);
  } finally {
    globalThis.setTimeout = wait;
  }
  deepEqual(world.log, []);
});

Deno.test("hostile: strangers cannot make the server hold many bodies, and others are answered", async () => {
  await using world = await World.start();
  const endings: (() => void)[] = [];
  const begin = (address: string) => {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        endings.push(() => controller.error(new Error("reset")));
      },
    });
    const request = new Request(`${ORIGIN}/api/v1/sign-in`, {
      method: "POST",
      headers: { origin: ORIGIN, "content-type": "application/json" },
      body,
    });
    return world.app.fetch(request, { address, secure: true, host: "vpn.example.org" });
  };
  const held = Array.from({ length: 64 }, () => begin("192.0.2.10"));
  const refused = await begin("192.0.2.10");
  equal(refused.status, 503);
  equal((await refused.json()).error.code, "busy");
  equal(refused.headers.get("retry-after"), "5");
  await world.signedIn(ADMIN.name, ADMIN.password, "192.0.2.11");
  for (let n = 0; n < 1_024 - 64; n++) held.push(begin(`198.51.${n >> 8}.${n & 255}`));
  equal((await begin("192.0.2.12")).status, 503);
  for (const end of endings) end();
  for (const response of held) equal((await response).status, 400);
  await world.signedIn();
  deepEqual(world.log, []);
});

Deno.test("hostile: if too many passwords wait, every route returns that error", async () => {
  await using world = await World.start();
  const admin = await world.signedIn();
  const busy = () => Promise.reject(new BusyError());
  Object.assign(world.signIn.passwords, { hash: busy, verify: busy });
  for (
    const [path, body] of [
      ["/sign-in", ADMIN],
      ["/me/password", { old: ADMIN.password, new: "some better words" }],
      ["/users", { name: "anna", password: "some better words" }],
    ] as const
  ) {
    const { status, body: { error }, headers } = await admin.post(path, body);
    equal(status, 503, path);
    equal(error.code, "busy");
    ok(headers.has("retry-after"));
  }
  deepEqual(world.log, []);
});
