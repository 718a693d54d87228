/**
 * A program that speaks TLS, HTTP/2 and WebSocket through a tunnel of its own. Its arguments are the configuration file, the
 * authority that the server's certificate is from, and the server's name.
 *
 * @module
 */

import { connect as connectHttp2 } from "node:http2";
import { up } from "../../../mod.ts";

const [file = "", authority = "", hostname = ""] = Deno.args;
const caCerts = [Deno.readTextFileSync(authority)];

/** How something failed, in a word. */
const failure = (error: unknown) => (error as { code?: string }).code ?? (error as Error).name;

const url = `https://${hostname}/`;

{
  await using stranger = await up(file);
  console.log("unknown authority", await stranger.fetch(url).then(() => "taken", failure));
}
await using net = await up(file, { caCerts });

const body = new Uint8Array(1_000_000).map((_, i) => i * 31 + (i >> 8));
const same = (bytes: Uint8Array) =>
  bytes.length === body.length && bytes.every((byte, i) => byte === body[i]);
console.log("fetch", await (await net.fetch(url)).text());
console.log(
  "upload",
  same(new Uint8Array(await (await net.fetch(url, { method: "POST", body })).arrayBuffer())),
);

for (
  const [what, options] of [["no authority", {}], ["wrong name", { hostname: "10.8.0.1", caCerts }]] as const
) {
  const reached = net.connectTls({ hostname, port: 443, ...options });
  console.log(what, await reached.then(() => "taken", failure));
}

const tls = await net.connectTls({ hostname, port: 443, caCerts, alpnProtocols: ["http/1.1"] });
const writer = tls.writable.getWriter();
await writer.write(
  new TextEncoder().encode(`GET / HTTP/1.1\r\nHost: ${hostname}\r\nConnection: close\r\n\r\n`),
);
console.log("tls", tls.alpnProtocol, (await new Response(tls.readable).text()).split("\r\n")[0]);

const { duplex, alpnProtocol } = await net.connectTls({
  hostname,
  port: 443,
  caCerts,
  alpnProtocols: ["h2"],
});
// deno-lint-ignore no-explicit-any -- node:http2 asks for a socket and takes any stream.
const http2 = connectHttp2(url, { createConnection: () => duplex as any });
const answers = Array.from({ length: 10 }, async () => {
  const request = http2.request({ ":path": "/" });
  let text = "";
  for await (const chunk of request) text += new TextDecoder().decode(chunk);
  return text;
});
console.log("http2", alpnProtocol, (await Promise.all(answers)).join() === "secure,".repeat(10).slice(0, -1));
http2.close();

const socket = new WebSocket(`wss://${hostname}/`, { client: net.httpClient });
const echoes: unknown[] = [];
await new Promise<void>((resolve, reject) => {
  socket.binaryType = "arraybuffer";
  socket.onerror = (event) => reject(new Error((event as ErrorEvent).message));
  socket.onopen = () => {
    socket.send("hello");
    socket.send(body);
  };
  socket.onmessage = ({ data }) => {
    if (echoes.push(data) === 2) resolve();
  };
});
console.log("websocket", echoes[0], same(new Uint8Array(echoes[1] as ArrayBuffer)));
socket.close();
