/**
 * Behind a proxy: whose headers are trusted, and what a client cannot make up.
 *
 * @module
 */

import { deepEqual, equal } from "node:assert/strict";
import { createApp } from "../../../core/web/app.ts";
import { forwardedInfo, TrustedProxies } from "../../../core/web/forwarded.ts";
import { serveApp } from "../../../core/web/server.ts";
import { World } from "./world.ts";

const PROXIES = TrustedProxies.parse("127.0.0.1, 10.0.0.0/8, fd00::/8")!;

function infoOf(forwarded: string | undefined, peer = "127.0.0.1") {
  const headers = { host: "vpn.example", ...(forwarded !== undefined && { "x-forwarded-for": forwarded }) };
  return forwardedInfo(new Request("http://vpn.example/", { headers }), peer, PROXIES);
}

Deno.test("forwardedInfo(): the client is the last address that is not a proxy's", () => {
  for (
    const [forwarded, address] of [
      [undefined, "127.0.0.1"],
      ["192.0.2.1", "192.0.2.1"],
      ["198.51.100.7, 192.0.2.1", "192.0.2.1"],
      ["127.0.0.1, 192.0.2.1, 10.1.2.3", "192.0.2.1"],
      ["192.0.2.1, fd00::5 , ::ffff:10.0.0.1", "192.0.2.1"],
      ["10.1.2.3", "127.0.0.1"],
      ["2001:db8::1", "2001:db8::1"],
      // Some proxies add the port, which is another one for each connection. Budgets are for addresses.
      ["192.0.2.1:50123", "192.0.2.1"],
      ["[2001:db8::1]:50123", "2001:db8::1"],
      ["[2001:db8::1]", "2001:db8::1"],
      ["192.0.2.1, 10.1.2.3:4000", "192.0.2.1"],
      // An address that is none says nothing, and nothing before it can be trusted.
      ["192.0.2.1, unknown", "127.0.0.1"],
      ["192.0.2.1, ", "127.0.0.1"],
      ["_hidden", "127.0.0.1"],
      ["192.0.2.1\u00a0x", "127.0.0.1"],
    ] as const
  ) equal(infoOf(forwarded)?.address, address, forwarded);
  for (const peer of ["192.0.2.9", "11.0.0.1", "::ffff:192.0.2.9", "", "fc00::1"]) {
    equal(infoOf("127.0.0.1", peer), undefined, peer);
  }
});

/** Sends bytes to a server behind a proxy that trusts an address. @returns Everything it answers. */
async function exchange(trusted: string, text: string): Promise<{ answer: string; world: World }> {
  await using world = await World.start();
  const proxies = TrustedProxies.parse(trusted)!;
  const log = (line: string) => void world.log.push(line);
  const server = serveApp(createApp(world.context), { hostname: "127.0.0.1", port: 0 }, { proxies }, log);
  try {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.address.port });
    await connection.write(new TextEncoder().encode(text));
    const answer = await untilSilent(connection);
    try {
      connection.close();
    } catch { /* It is closed already. */ }
    return { answer, world };
  } finally {
    await server.close();
  }
}

/**
 * All that arrives until the server closes the connection, or has been silent for a while after the first answer. The
 * connection stays open until then, because the server cancels answers to a client that has closed its end.
 */
async function untilSilent(connection: Deno.TcpConn): Promise<string> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(4_096);
  let text = "";
  for (;;) {
    const silence = text !== "" && setTimeout(() => connection.close(), 300);
    const length = await connection.read(buffer).catch((error) => {
      if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) return null;
      throw error;
    });
    if (silence !== false) clearTimeout(silence);
    if (length === null) return text;
    text += decoder.decode(buffer.subarray(0, length), { stream: true });
  }
}

/** The statuses of all answers on a connection. */
function statuses(answer: string): string[] {
  return [...answer.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => status!);
}

Deno.test("proxy: another address gets nothing, whatever it says of itself", async () => {
  const { answer } = await exchange(
    "192.0.2.1",
    "GET /api/v1/setup HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n\r\n",
  );
  deepEqual(statuses(answer), ["403"]);
});

// A proxy and this server must agree on where a request ends, or a stranger's bytes begin another person's request.
const SMUGGLED = "GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n";
const HEAD = "POST /api/v1/sign-out HTTP/1.1\r\nHost: x\r\n";
for (
  const [what, text] of [
    ["two lengths", `${HEAD}Content-Length: 0\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`],
    ["a length with a sign", `${HEAD}Content-Length: +${SMUGGLED.length}\r\n\r\n${SMUGGLED}`],
    ["an unknown encoding", `${HEAD}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${SMUGGLED}`],
    ["a space before the colon", `${HEAD}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`],
    ["a folded line", `${HEAD}X: a\r\n Transfer-Encoding: chunked\r\n\r\n${SMUGGLED}`],
    ["a chunk's length that is none", `${HEAD}Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n${SMUGGLED}`],
  ] as const
) {
  Deno.test(`proxy: a request with ${what} does not carry another one`, async () => {
    const { answer } = await exchange("127.0.0.1", text);
    equal(answer.includes("openapi"), false, answer);
  });
}
