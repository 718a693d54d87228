/**
 * The server of the page and the API, with TLS or behind a proxy.
 *
 * @module
 */

import type { App } from "./app.ts";
import type { ConnectionLimits } from "./connection_limits.ts";
import type { RequestInfo } from "./context.ts";
import { forwardedInfo, type TrustedProxies } from "./forwarded.ts";
import type { Certificate } from "./keeper/certificates.ts";
import type { ListenAddress } from "./listening.ts";
import { RunningServer, type WebServer } from "./running_server.ts";

/** How requests arrive: over TLS, or from proxies that handle TLS. */
export type Transport =
  | {
    readonly certificate: Certificate;
    readonly sendWithoutDelay: () => void;
    readonly limits?: ConnectionLimits | undefined;
  }
  | { readonly proxies: TrustedProxies };

/** The maximum size and time of reading a body whose request was already answered. */
const LONGEST_REST = 256 << 10;
const REST_PATIENCE = 1_000;

/**
 * Begins to serve an app. Over TLS it supports HTTP/2 too.
 *
 * @throws {ListenError} If it cannot listen.
 */
export function serveApp(
  app: App,
  listen: ListenAddress,
  transport: Transport,
  log: (text: string) => void,
): WebServer {
  const onError = (error: unknown) => {
    log(String(error));
    return new Response(null, { status: 500 });
  };
  if ("proxies" in transport) {
    const answerProxy = async (request: Request, { remoteAddr: { hostname } }: Info) => {
      if (!isReadable(request)) return badRequest();
      const info = forwardedInfo(request, hostname, transport.proxies);
      if (info) return await answer(app, request, info);
      return new Response("This server only answers its proxy.\n", { status: 403 });
    };
    return new RunningServer(
      listen,
      (signal) => Deno.serve({ ...listen, signal, onListen: () => {}, onError }, answerProxy),
      log,
    );
  }
  const { sendWithoutDelay, limits } = transport;
  const answerBrowser = async (request: Request, { remoteAddr, completed }: Info) => {
    limits?.used(remoteAddr, completed);
    if (!isReadable(request)) return badRequest();
    const info = { address: remoteAddr.hostname, secure: true, host: new URL(request.url).host };
    return await answer(app, request, info);
  };
  const server = new RunningServer(
    listen,
    (signal, port, { chain: cert, key } = transport.certificate) => {
      const tls = { cert, key, hostname: listen.hostname, port };
      const server = Deno.serve({ ...tls, signal, onListen: () => {}, onError }, answerBrowser);
      sendWithoutDelay();
      return server;
    },
    log,
  );
  limits?.start(server.address.port);
  return server;
}

/** Whether the address of a request is a valid URL. It contains the Host header, which the client has chosen. */
function isReadable({ url }: Request): boolean {
  return URL.canParse(url);
}

function badRequest(): Response {
  return new Response("This request has no valid Host header.\n", { status: 400 });
}

type Info = Deno.ServeHandlerInfo<Deno.NetAddr>;

/**
 * Responds after the body was read. Over HTTP/2 an earlier response resets the stream, and some clients lose the
 * response then.
 */
async function answer(app: App, request: Request, info: RequestInfo): Promise<Response> {
  const response = await app.fetch(request, info);
  if (request.body && !request.bodyUsed) await readRest(request.body);
  return response;
}

/** Reads an unused body, unless it is long or slow. */
async function readRest(body: ReadableStream<Uint8Array>): Promise<void> {
  const reader = body.getReader();
  const timer = setTimeout(() => reader.cancel().catch(() => {}), REST_PATIENCE);
  try {
    for (let length = 0; length < LONGEST_REST;) {
      const { done, value } = await reader.read();
      if (done) return;
      length += value.length;
    }
    await reader.cancel();
  } catch {
    // The client has disconnected.
  } finally {
    clearTimeout(timer);
  }
}
