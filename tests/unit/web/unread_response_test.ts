/**
 * Clients that never read their responses, at servers that listen.
 *
 * @module
 */

import { deepEqual, equal } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { gunzipSync, gzipSync } from "node:zlib";
import { servePage } from "../../../core/web/assets/serve.ts";
import { ConnectionLimits, type Limits } from "../../../core/web/connection_limits.ts";
import { TrustedProxies } from "../../../core/web/forwarded.ts";
import { RequestCount, serveMetrics } from "../../../core/web/metrics.ts";
import { serveApp } from "../../../core/web/server.ts";
import { prepareConnections } from "../../../ffi/linux/accepted_connections.ts";
import { ORIGIN, World } from "./world.ts";

const WHERE = { hostname: "127.0.0.1", port: 0 };
const LIMITS: Limits = {
  firstRequest: 60_000,
  idle: 60_000,
  response: 500,
  perNetwork: 100,
  total: 100,
  requestsPerConnection: 2,
  requestsPerNetwork: 100,
  requests: 100,
  requestsLeft: 100,
};

/** Limits that do not know any trusted address, except for those of proxies. */
function limitsOf(proxies?: TrustedProxies): ConnectionLimits {
  return new ConnectionLimits(
    prepareConnections(),
    () => performance.now(),
    (address) => proxies?.has(address) ?? false,
    LIMITS,
  );
}

/** The beginning of HTTP/2 with a setting: responses may have no content (RFC 9113, section 6.5.2). */
const PREFACE = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  Buffer.from("000006 04 00 00000000 0004 00000000".replaceAll(" ", ""), "hex"),
]);

/** `GET /healthz` for the host x as a frame HEADERS (RFC 7541, appendix A). */
function requestFrame(stream: number): Uint8Array {
  const path = "/healthz";
  const block = Buffer.from(
    `828604${path.length.toString(16).padStart(2, "0")}${Buffer.from(path).toString("hex")}410178`,
    "hex",
  );
  const head = Buffer.alloc(9);
  head.writeUIntBE(block.length, 0, 3);
  head[3] = 1;
  head[4] = 5;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, block]);
}

/** Requests something without reading its content. @returns The milliseconds until the server ends the connection. */
async function neverRead(port: number): Promise<number> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const begun = performance.now();
  const late = setTimeout(() => connection.close(), 10_000);
  try {
    await connection.write(Buffer.concat([PREFACE, requestFrame(1)]));
    const chunk = new Uint8Array(4_096);
    // The heads of responses come in any case.
    while (await connection.read(chunk) !== null);
    return performance.now() - begun;
  } finally {
    clearTimeout(late);
  }
}

Deno.test("a client that does not read its response loses its connection, also one that is not the proxy", async () => {
  const proxies = TrustedProxies.parse("10.0.0.1")!;
  const app = { fetch: () => Promise.resolve(new Response("not reached")) };
  using limits = limitsOf(proxies);
  const server = serveApp(app, WHERE, { proxies, limits }, () => {});
  try {
    const time = await neverRead(server.address.port);
    equal(time > 400 && time < 5_000, true, `after ${time} ms`);
  } finally {
    await server.close();
  }
});

Deno.test("a client of the metrics that does not read its response loses its connection", async () => {
  await using world = await World.start();
  using limits = limitsOf();
  await using server = serveMetrics(world.context, new RequestCount(), WHERE, () => undefined, limits);
  const time = await neverRead(server.address.port);
  equal(time > 400 && time < 5_000, true, `after ${time} ms`);
});

Deno.test("a connection with too many requests gets 503, and the proxy does not", async () => {
  for (const [trusted, refused] of [["10.0.0.1", true], ["127.0.0.1", false]] as const) {
    const proxies = TrustedProxies.parse(trusted)!;
    const app = { fetch: () => Promise.resolve(new Response("page")) };
    // No request is finished on the way, because they count at once.
    using limits = limitsOf(proxies);
    const { used } = limits;
    limits.used = (address) => used.call(limits, address, new Promise(() => {}));
    const server = serveApp(app, WHERE, { proxies, limits }, () => {});
    try {
      using client = Deno.createHttpClient({ poolMaxIdlePerHost: 1 });
      const statuses: number[] = [];
      for (let n = 0; n < 3; n++) {
        const response = await fetch(`http://127.0.0.1:${server.address.port}/`, { client });
        await response.text();
        statuses.push(response.status);
      }
      deepEqual(statuses, refused ? [403, 403, 503] : [200, 200, 200]);
    } finally {
      await server.close();
    }
  }
});

Deno.test("a file of the page is decoded once", async () => {
  let decoded = 0;
  const gzip = gzipSync("page").toString("base64");
  const file = {
    type: "text/plain",
    get gzip() {
      decoded++;
      return gzip;
    },
  };
  for (const accepts of ["gzip", "gzip", "identity", "identity"]) {
    const response = servePage(new Request(`${ORIGIN}/`, { headers: { "accept-encoding": accepts } }), {
      "/": file,
    })!;
    const bytes = new Uint8Array(await response.arrayBuffer());
    equal(new TextDecoder().decode(accepts === "gzip" ? gunzipSync(bytes) : bytes), "page");
    equal(response.headers.get("content-length"), String(bytes.length));
  }
  equal(decoded, 1);
});
