/**
 * The page of `wgd web` during development: it is built again and reloaded whenever a source changes.
 *
 *     deno task dev:web [http://127.0.0.1:8080]
 *
 * The argument is the address of a `wgd web` without TLS. The page's API requests are sent to it.
 *
 * @module
 */

import { buildPage } from "../core/web/assets/build.ts";
import type { PageFiles } from "../core/web/assets/files.ts";
import { servePage } from "../core/web/assets/serve.ts";

const server = new URL(Deno.args[0] ?? "http://127.0.0.1:8080");
const SOURCES = new URL("../core/web/page", import.meta.url);
const PORT = 8090;
/** Milliseconds in which an editor writes all of its files. */
const WRITE_PAUSE = 100;
const RELOAD = `new EventSource("/dev/changes").onmessage = () => location.reload();`;

const readers = new Set<ReadableStreamDefaultController<Uint8Array>>();
let files: PageFiles = await build();

async function build(): Promise<PageFiles> {
  const made = await buildPage();
  console.log(`the page is made: http://127.0.0.1:${PORT}/`);
  return made;
}

function changes(): Response {
  let reader: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => void readers.add(reader = controller),
    cancel: () => void readers.delete(reader),
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

/** The page, with a script that reloads it. */
async function page(request: Request): Promise<Response | undefined> {
  const plain = new Request(request.url, { method: request.method });
  const response = servePage(plain, files);
  if (!response?.headers.get("content-type")?.startsWith("text/html")) return response;
  response.headers.delete("content-length");
  const html = (await response.text()).replace(
    "</head>",
    '<script src="/dev/reload.js" defer></script></head>',
  );
  return new Response(html, response);
}

/** Forwards a request. For the server, it comes from its own page. */
async function ask(request: Request): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  const headers = new Headers(request.headers);
  headers.delete("host");
  if (headers.has("origin")) headers.set("origin", server.origin);
  const { method, body, signal } = request;
  return await fetch(new URL(pathname + search, server), {
    method,
    headers,
    body,
    signal,
    redirect: "manual",
  });
}

Deno.serve({ hostname: "127.0.0.1", port: PORT, onListen: () => {} }, async (request) => {
  switch (new URL(request.url).pathname) {
    case "/dev/changes":
      return changes();
    case "/dev/reload.js":
      return new Response(RELOAD, { headers: { "content-type": "text/javascript" } });
    default:
      return await page(request) ?? await ask(request);
  }
});

let timer: ReturnType<typeof setTimeout> | undefined;
for await (const { kind } of Deno.watchFs(SOURCES.pathname)) {
  if (kind === "access") continue;
  clearTimeout(timer);
  timer = setTimeout(async () => {
    try {
      files = await build();
      for (const reader of readers) reader.enqueue(new TextEncoder().encode("data: changed\n\n"));
    } catch (error) {
      console.error((error as Error).message);
    }
  }, WRITE_PAUSE);
}
