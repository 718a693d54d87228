/**
 * The server of the page and the API, with TLS or behind a proxy.
 *
 * @module
 */

import { setTimeout as delay } from "node:timers/promises";
import type { App } from "./app.ts";
import type { RequestInfo } from "./context.ts";
import { forwardedInfo, type TrustedProxies } from "./forwarded.ts";
import type { Certificate } from "./keeper/certificates.ts";
import { type ListenAddress, listening } from "./listening.ts";

/** How requests arrive: over TLS, or from proxies that handle TLS. */
export type Transport =
  | { readonly certificate: Certificate; readonly sendWithoutDelay: () => void }
  | { readonly proxies: TrustedProxies };

/** A running server. */
export interface WebServer {
  readonly address: Deno.NetAddr;
  /** Why the server does not listen; undefined if it does. */
  readonly problem: string | undefined;
  /**
   * Uses another certificate for new connections. Responses that have begun are finished. For a moment nobody listens. If
   * another program takes the port in that moment, this waits until the program has ended.
   *
   * @throws {Error} If the certificate cannot be used. Nothing is changed then.
   */
  renew(certificate: Certificate): Promise<void>;
  /** Stops it. Responses that have begun are finished, unless they take too long. */
  close(): Promise<void>;
}

/** Milliseconds that the old server has to release its port. */
const RELEASE_TIME = 1_000;
/** Longest pause in milliseconds between two attempts to listen. */
const LONGEST_PAUSE = 5_000;

/** Milliseconds that responses have when the server stops. Live events do not end by themselves. */
const PATIENCE = 2_000;

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
      return new Response("This server answers its proxy alone.\n", { status: 403 });
    };
    return listening(
      listen,
      () =>
        new RunningServer(
          (signal) => Deno.serve({ ...listen, signal, onListen: () => {}, onError }, answerProxy),
          log,
        ),
    );
  }
  const answerBrowser = async (request: Request, { remoteAddr: { hostname } }: Info) =>
    isReadable(request)
      ? await answer(app, request, { address: hostname, secure: true, host: new URL(request.url).host })
      : badRequest();
  return listening(
    listen,
    () =>
      new RunningServer((signal, certificate = transport.certificate, port = listen.port) => {
        const { chain: cert, key } = certificate;
        const tls = { cert, key, hostname: listen.hostname, port };
        const server = Deno.serve({ ...tls, signal, onListen: () => {}, onError }, answerBrowser);
        transport.sendWithoutDelay();
        return server;
      }, log),
  );
}

/** Whether the address of a request is a URL. It is made of the Host header, and so by the client. */
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

type Listen = (
  signal: AbortSignal,
  certificate?: Certificate,
  port?: number,
) => Deno.HttpServer<Deno.NetAddr>;

/**
 * Deno's servers cannot change their certificate, so another one takes over the port, and the old one finishes its
 * responses.
 */
class RunningServer implements WebServer {
  readonly #controller = new AbortController();
  readonly #closing = new AbortController();
  readonly #ending = new Set<Promise<void>>();
  readonly #listen: Listen;
  readonly #log: (text: string) => void;
  #server: Deno.HttpServer<Deno.NetAddr>;
  #problem: string | undefined;

  constructor(listen: Listen, log: (text: string) => void) {
    this.#listen = listen;
    this.#log = log;
    this.#server = listen(this.#controller.signal);
  }

  get address(): Deno.NetAddr {
    return this.#server.addr;
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  async renew(certificate: Certificate): Promise<void> {
    const { chain: cert, key } = certificate;
    Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key }).close();
    const { hostname, port } = this.address;
    this.#end(this.#server);
    const begun = performance.now();
    // The old server releases the port after a while. Other errors are retried too: without a server nobody is served.
    for (let pause = 1; !this.#closing.signal.aborted; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      try {
        this.#server = listening(
          { hostname, port },
          () => this.#listen(this.#controller.signal, certificate, port),
        );
        if (this.#problem !== undefined) this.#log(`listening at port ${port} again`);
        this.#problem = undefined;
        return;
      } catch (error) {
        if (performance.now() - begun > RELEASE_TIME) this.#complain((error as Error).message);
      }
      // Closing the server ends the pause with an error.
      await delay(pause, undefined, { signal: this.#closing.signal }).catch(() => {});
    }
  }

  #complain(problem: string): void {
    if (problem !== this.#problem) this.#log(`nobody can connect now: ${problem}; this is tried again`);
    this.#problem = problem;
  }

  #end(server: Deno.HttpServer<Deno.NetAddr>): void {
    const ending = server.shutdown().finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const timer = setTimeout(() => this.#controller.abort(), PATIENCE);
    this.#end(this.#server);
    await Promise.all(this.#ending);
    clearTimeout(timer);
  }
}
