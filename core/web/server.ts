/**
 * The web process: what listens, and what it listens for.
 *
 * @module
 */

import { createApp } from "./app.ts";
import type { Context } from "./context.ts";

/** An address to listen at. */
export interface ListenAddress {
  readonly hostname: string;
  readonly port: number;
}

/** A running server. */
export interface WebServer {
  readonly address: Deno.NetAddr;
  /** Ends it; answers that have begun are finished. */
  close(): Promise<void>;
}

/** Begins to serve the API. */
export function serveWeb(context: Context, listen: ListenAddress): WebServer {
  const app = createApp(context);
  const server = Deno.serve({
    ...listen,
    onListen: () => {},
    onError: (error) => {
      context.log(String(error));
      return new Response(null, { status: 500 });
    },
  }, async (request, { remoteAddr }) => {
    const { host } = new URL(request.url);
    return await app.fetch(request, { address: remoteAddr.hostname, secure: false, host });
  });
  return { address: server.addr, close: () => server.shutdown() };
}
