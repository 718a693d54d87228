/**
 * A server that listens until it is closed, even if its socket fails.
 *
 * @module
 */

import { setTimeout as delay } from "node:timers/promises";
import type { Certificate } from "./keeper/certificates.ts";
import { type ListenAddress, listening } from "./listening.ts";

/** A running server. */
export interface WebServer {
  readonly address: Deno.NetAddr;
  /** Why the server does not listen; undefined if it does. */
  readonly problem: string | undefined;
  /**
   * Uses another certificate for new connections. Responses that have begun are finished. For a moment no server
   * listens. If another program takes the port in that moment, this waits until the program has ended.
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

/** Begins to listen. */
type Listen = (signal: AbortSignal, port: number, certificate?: Certificate) => Deno.HttpServer<Deno.NetAddr>;

/** A Deno server, and a function that ends its connections. */
interface Served {
  readonly server: Deno.HttpServer<Deno.NetAddr>;
  readonly controller: AbortController;
}

/**
 * Deno's servers cannot change their certificate, and end when they cannot accept a connection. Then another server
 * takes over the port. After a change of the certificate, the old one finishes its responses.
 */
export class RunningServer implements WebServer, AsyncDisposable {
  readonly #closing = new AbortController();
  readonly #ending = new Map<Served, Promise<void>>();
  readonly #listen: Listen;
  readonly #log: (text: string) => void;
  #certificate: Certificate | undefined;
  #served: Served;
  #problem: string | undefined;
  /** Resolves when a server listens again; undefined if one listens. */
  #beginning: Promise<void> | undefined;

  /** @throws {ListenError} If it cannot listen. */
  constructor(listen: ListenAddress, serve: Listen, log: (text: string) => void) {
    this.#listen = serve;
    this.#log = log;
    this.#served = this.#begin(listen);
  }

  get address(): Deno.NetAddr {
    return this.#served.server.addr;
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  async renew(certificate: Certificate): Promise<void> {
    const { chain: cert, key } = certificate;
    Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key }).close();
    this.#certificate = certificate;
    // If no server listens now, the next one gets this certificate.
    if (!this.#beginning) this.#end(this.#served);
    await this.#beginAgain();
  }

  #begin({ hostname, port }: ListenAddress): Served {
    const controller = new AbortController();
    const server = listening(
      { hostname, port },
      () => this.#listen(controller.signal, port, this.#certificate),
    );
    const served = { server, controller };
    server.finished.catch((error) => this.#replace(served, error as Error));
    return served;
  }

  /** The loop that accepts connections has ended, for example because of too many open files. */
  async #replace(served: Served, error: Error): Promise<void> {
    if (served !== this.#served || this.#ending.has(served) || this.#closing.signal.aborted) return;
    this.#log(`connections could not be accepted, and all are ended: ${error.message}`);
    // Their requests would not be answered any more.
    served.controller.abort();
    await this.#beginAgain();
  }

  /** Two loops would take the port from each other, so a second caller waits for the first one's loop. */
  #beginAgain(): Promise<void> {
    if (this.#beginning) return this.#beginning;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#beginning = promise;
    this.#tryToBegin().then(resolve, reject);
    return promise;
  }

  async #tryToBegin(): Promise<void> {
    const { hostname, port } = this.address;
    const begun = performance.now();
    // The old server releases the port after a while. Other errors are also retried, because without a server nobody
    // can connect.
    for (let pause = 1; !this.#closing.signal.aborted; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      try {
        this.#served = this.#begin({ hostname, port });
        this.#beginning = undefined;
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

  #end(served: Served): void {
    this.#ending.set(served, served.server.shutdown().finally(() => this.#ending.delete(served)));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#end(this.#served);
    const ending = [...this.#ending];
    const timer = setTimeout(() => ending.forEach(([{ controller }]) => controller.abort()), PATIENCE);
    await Promise.all(ending.map(([, end]) => end));
    clearTimeout(timer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
