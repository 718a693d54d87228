/**
 * An HTTP server for clients in the tunnel: `node:http` over its connections, with Deno's requests and responses.
 *
 * @module
 */

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { NetHandler, NetServeOptions, NetServer } from "./api.ts";
import { ConnDuplex } from "./duplex.ts";
import type { TcpListener } from "./listener.ts";

/** Serves HTTP on a listener. */
export function serveHttp(
  listener: TcpListener,
  handler: NetHandler,
  { signal, onError = defaultError }: Pick<NetServeOptions, "signal" | "onError"> = {},
): NetServer {
  const open = new Set<ConnDuplex>();
  // Connections whose request is being answered.
  const busy = new Set<unknown>();
  let ending = false;
  const server = createServer((incoming, outgoing) => {
    const stream = incoming.socket as unknown as ConnDuplex;
    busy.add(stream);
    outgoing.on("close", () => {
      busy.delete(stream);
      if (ending) hangUp(stream);
    });
    if (ending) outgoing.setHeader("connection", "close");
    answer(incoming, outgoing, handler, onError).catch((error) => outgoing.destroy(error));
  });
  // Without this a connection is closed after its first request.
  Object.defineProperty(server, "listening", { value: true });
  const finished = (async () => {
    for await (const conn of listener) {
      const stream = new ConnDuplex(conn);
      open.add(stream);
      stream.on("close", () => open.delete(stream));
      stream.on("error", () => {});
      server.emit("connection", stream);
    }
  })();
  const shutdown = async () => {
    ending = true;
    listener.close();
    await finished;
    await Promise.all([...open].map((stream) =>
      new Promise<void>((resolve) => {
        stream.on("close", resolve);
        if (!busy.has(stream)) hangUp(stream);
      })
    ));
  };
  signal?.addEventListener("abort", () => void shutdown(), { once: true });
  if (signal?.aborted) shutdown();
  return { addr: listener.addr, finished, shutdown, [Symbol.asyncDispose]: shutdown };
}

/** Closes a connection after its last bytes are sent. It does not wait for the other end, which may never close. */
function hangUp(stream: ConnDuplex): void {
  stream.end(() => stream.destroy());
}

async function answer(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  handler: NetHandler,
  onError: (error: unknown) => Response | Promise<Response>,
): Promise<void> {
  const { remoteAddress: hostname = "", remotePort: port = 0 } = incoming.socket;
  const gone = new AbortController();
  outgoing.on("close", () => gone.abort());
  let response: Response;
  try {
    response = await handler(requestOf(incoming, gone.signal), {
      remoteAddr: { transport: "tcp", hostname, port },
    });
  } catch (error) {
    response = await onError(error);
  }
  outgoing.statusCode = response.status;
  if (response.statusText) outgoing.statusMessage = response.statusText;
  for (const [name, value] of response.headers) {
    if (name !== "set-cookie") outgoing.setHeader(name, value);
  }
  const cookies = response.headers.getSetCookie();
  if (cookies.length > 0) outgoing.setHeader("set-cookie", cookies);
  if (response.body === null) outgoing.end();
  else await pipeline(Readable.fromWeb(response.body as Parameters<typeof Readable.fromWeb>[0]), outgoing);
}

function requestOf(incoming: IncomingMessage, signal: AbortSignal): Request {
  const { method = "GET", url = "/", headers } = incoming;
  const fields = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    for (const one of Array.isArray(value) ? value : [value ?? ""]) fields.append(name, one);
  }
  const body = method === "GET" || method === "HEAD"
    ? null
    : Readable.toWeb(incoming) as unknown as ReadableStream<Uint8Array<ArrayBuffer>>;
  const host = headers.host ?? "localhost";
  return new Request(new URL(url, `http://${host}`), { method, headers: fields, body, signal });
}

function defaultError(error: unknown): Response {
  console.error(error);
  return new Response("Internal Server Error", { status: 500 });
}
