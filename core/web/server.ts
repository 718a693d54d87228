/**
 * What listens: the page and the API, encrypted or behind a proxy.
 *
 * @module
 */

import type { App } from "./app.ts";
import type { RequestInfo } from "./context.ts";
import { forwardedInfo, type TrustedProxies } from "./forwarded.ts";
import type { Certificate } from "./keeper/certificates.ts";

/** An address to listen at. */
export interface ListenAddress {
  readonly hostname: string;
  readonly port: number;
}

/** How requests come in: over TLS, or from proxies that have done that. */
export type Transport = { readonly certificate: Certificate } | { readonly proxies: TrustedProxies };

/** A running server. */
export interface WebServer {
  readonly address: Deno.NetAddr;
  /** Ends it; answers that have begun are finished, unless they take too long. */
  close(): Promise<void>;
}

/** Milliseconds that answers may take when the server ends; live events never end by themselves. */
const PATIENCE = 2_000;

/** Bytes and milliseconds of a body that are waited for after its request was answered without them. */
const LONGEST_REST = 256 << 10;
const REST_PATIENCE = 1_000;

/** Begins to serve an app. Over TLS it speaks HTTP/2 too. */
export function serveApp(
  app: App,
  listen: ListenAddress,
  transport: Transport,
  log: (text: string) => void,
): WebServer {
  const controller = new AbortController();
  const options = {
    ...listen,
    signal: controller.signal,
    onListen: () => {},
    onError: (error: unknown) => {
      log(String(error));
      return new Response(null, { status: 500 });
    },
  };
  if ("proxies" in transport) {
    const server = Deno.serve(options, async (request, { remoteAddr: { hostname } }) => {
      const info = forwardedInfo(request, hostname, transport.proxies);
      if (info) return await answer(app, request, info);
      return new Response("This server answers its proxy alone.\n", { status: 403 });
    });
    return running(server, controller);
  }
  const { chain: cert, key } = transport.certificate;
  const server = Deno.serve({ ...options, cert, key }, async (request, { remoteAddr: { hostname } }) => {
    return await answer(app, request, { address: hostname, secure: true, host: new URL(request.url).host });
  });
  return running(server, controller);
}

/** Answers once the body was read: over HTTP/2 an earlier answer resets the stream, and some clients lose it then. */
async function answer(app: App, request: Request, info: RequestInfo): Promise<Response> {
  const response = await app.fetch(request, info);
  if (request.body && !request.bodyUsed) await readRest(request.body);
  return response;
}

/** Reads a body that nobody wants, unless it is long or slow. */
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
    // The client is gone.
  } finally {
    clearTimeout(timer);
  }
}

function running(server: Deno.HttpServer<Deno.NetAddr>, controller: AbortController): WebServer {
  return {
    address: server.addr,
    async close() {
      const timer = setTimeout(() => controller.abort(), PATIENCE);
      await server.shutdown();
      clearTimeout(timer);
    },
  };
}
