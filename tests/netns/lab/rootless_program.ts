/**
 * A program of a user without any privilege: it is a host of a WireGuard network. Run by rootless_test.ts.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { up } from "../../../mod.ts";

const [file = "", web = "", bytes = ""] = Deno.args;

await using net = await up(file);

// A page, and a body each way, against the kernel's TCP.
const page = await net.fetch(web);
console.log("page", page.status, await page.text());
const body = new Uint8Array(Number(bytes)).map((_, i) => i * 7 + (i >> 8));
const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");
const echoed = await net.fetch(web, { method: "POST", body });
console.log("echo", sha256(new Uint8Array(await echoed.arrayBuffer())) === sha256(body));
const upload = await net.fetch(`${web}sha256`, { method: "POST", body });
console.log("upload", await upload.text() === sha256(body));

// A server for the other end, which asks it when it is told to.
await using server = net.serve(
  { port: 8_080 },
  (request) => new Response(`served ${new URL(request.url).pathname}`),
);
const asked = await net.fetch(`${web}ask?port=${server.addr.port}`);
console.log("served", await asked.text());

console.log("ping", await net.ping(new URL(web).hostname) < 5_000);
const { sockets, peers } = await net.state();
console.log("state", sockets, peers.length);
