/**
 * A web server on a host of the lab, over the kernel's own TCP: it greets, echoes, and asks back.
 *
 * @module
 */

import { createHash } from "node:crypto";

const [hostname = "0.0.0.0"] = Deno.args;

Deno.serve({ hostname, port: 80, onListen: () => console.log("ready") }, async (request, { remoteAddr }) => {
  const { pathname, searchParams } = new URL(request.url);
  switch (pathname) {
    case "/sha256":
      return new Response(
        createHash("sha256").update(new Uint8Array(await request.arrayBuffer())).digest("hex"),
      );
    case "/ask": {
      const answer = await fetch(`http://${remoteAddr.hostname}:${searchParams.get("port")}/asked`);
      return new Response(await answer.text());
    }
    case "/slow":
      return new Response(
        ReadableStream.from((async function* () {
          for (let i = 0; i < Number(searchParams.get("count")); i++) {
            yield new TextEncoder().encode(`${i} `);
            await new Promise((resolve) => setTimeout(resolve, 100));
          }
        })()),
      );
    default:
      return request.method === "POST"
        ? new Response(await request.arrayBuffer())
        : new Response(`hello ${remoteAddr.hostname}`);
  }
});
