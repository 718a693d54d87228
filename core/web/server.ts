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
import { asStream } from "./unread_body.ts";

/** How requests arrive: over TLS, or from proxies that handle TLS. */
export type Transport =
  | {
    readonly certificate: Certificate;
    readonly sendWithoutDelay: () => void;
    readonly limits?: ConnectionLimits | undefined;
  }
  | {
    readonly proxies: TrustedProxies;
    /** For clients that are not proxies. */
    readonly limits?: ConnectionLimits | undefined;
  };

/** Milliseconds that clients have to read these types of responses. Only users get them. */
const LONG_RESPONSES: readonly (readonly [type: string, time: number])[] = [
  // A stream of live values ends after five minutes.
  ["text/event-stream", 6 * 60_000],
  // A backup may be large.
  ["application/octet-stream", 60 * 60_000],
];

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
  const { limits } = transport;
  const server = "proxies" in transport
    ? new RunningServer(
      listen,
      (signal) =>
        Deno.serve({ ...listen, signal, onListen: () => {}, onError }, (request, info) =>
          limited(request, info, limits, async () => {
            const forwarded = forwardedInfo(request, info.remoteAddr.hostname, transport.proxies);
            if (forwarded) {
              return await answer(app, request, forwarded);
            }
            return new Response("This server only answers its proxy.\n", { status: 403 });
          })),
      log,
    )
    : new RunningServer(
      listen,
      (signal, port, { chain: cert, key } = transport.certificate) => {
        const tls = { cert, key, hostname: listen.hostname, port };
        const server = Deno.serve(
          { ...tls, signal, onListen: () => {}, onError },
          (request, info) =>
            limited(request, info, limits, () => {
              const { hostname: address } = info.remoteAddr;
              return answer(app, request, { address, secure: true, host: new URL(request.url).host });
            }),
        );
        transport.sendWithoutDelay();
        return server;
      },
      log,
    );
  limits?.start(server.address.port);
  return server;
}

/** Answers a request, unless its client has too many or its address is invalid. */
async function limited(
  request: Request,
  { remoteAddr, completed }: Info,
  limits: ConnectionLimits | undefined,
  work: () => Promise<Response>,
): Promise<Response> {
  const open = limits?.used(remoteAddr, completed);
  if (limits && !open) return new Response(null, { status: 503, headers: { "retry-after": "5" } });
  const response = isReadable(request) ? await work() : badRequest();
  const type = response.headers.get("content-type") ?? "";
  const time = LONG_RESPONSES.find(([start]) => type.startsWith(start))?.[1];
  // These are streams already.
  if (time !== undefined) open?.allow(time);
  return time === undefined ? asStream(response) : response;
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
