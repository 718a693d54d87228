/**
 * What listens: the page and the API, encrypted or behind a proxy.
 *
 * @module
 */

import type { App } from "./app.ts";
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
      if (info) return await app.fetch(request, info);
      return new Response("This server answers its proxy alone.\n", { status: 403 });
    });
    return running(server, controller);
  }
  const { chain: cert, key } = transport.certificate;
  const server = Deno.serve({ ...options, cert, key }, async (request, { remoteAddr: { hostname } }) => {
    return await app.fetch(request, { address: hostname, secure: true, host: new URL(request.url).host });
  });
  return running(server, controller);
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
