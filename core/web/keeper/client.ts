/**
 * The keeper's client in the web process.
 *
 * @module
 */

import { KeeperError, type Notice, type Reply, type Verb, type Verbs } from "./verbs.ts";

/** Milliseconds between two attempts to reach a keeper that has ended. */
const RECONNECT = 1_000;

/** Sends a request to the keeper. */
export interface KeeperClient {
  /** @throws {KeeperError} If the request fails, or the keeper does not respond. */
  ask<V extends Verb>(verb: V, takes: Verbs[V]["takes"]): Promise<Verbs[V]["gives"]>;
}

/** Told what happens to the interfaces without a request. */
export interface KeeperListener {
  /** An interface has come up, perhaps without peers. */
  cameUp(name: string): void;
  /** Addresses or routes of the machine may have changed. */
  routesChanged(): void;
  /** The keeper has ended and is back. Interfaces may have come up meanwhile. */
  isBack(): void;
}

interface Waiting {
  resolve(gives: unknown): void;
  reject(error: KeeperError): void;
}

/** A connection to the keeper. It is made again if it breaks. */
export class KeeperConnection implements KeeperClient, Disposable {
  readonly #path: string;
  readonly #waiting = new Map<number, Waiting>();
  #connecting: Promise<Deno.UnixConn> | undefined;
  #conn: Deno.UnixConn | undefined;
  #sending: Promise<unknown> = Promise.resolve();
  #lastId = 0;
  #closed = false;
  #closing: ReturnType<typeof setTimeout> | undefined;
  #listener: KeeperListener | undefined;
  #reconnecting: ReturnType<typeof setTimeout> | undefined;

  /** @param path Path of the keeper's socket. */
  constructor(path: string) {
    this.#path = path;
  }

  async ask<V extends Verb>(verb: V, takes: Verbs[V]["takes"]): Promise<Verbs[V]["gives"]> {
    if (this.#closed) throw new KeeperError("wgd web is ending");
    const conn = await this.#connect();
    if (conn !== this.#conn) throw new KeeperError("the keeper has ended");
    const id = ++this.#lastId;
    const line = new TextEncoder().encode(`${JSON.stringify({ id, verb, takes })}\n`);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { resolve, reject });
    this.#sending = this.#sending.then(() => writeAll(conn, line)).catch(() => this.#lost(conn));
    return await promise as Verbs[V]["gives"];
  }

  /** Tells a listener what the keeper reports. From now on, a connection that breaks is made again at once. */
  listen(listener: KeeperListener): void {
    this.#listener = listener;
    if (!this.#conn) this.#reconnect();
  }

  #reconnect(): void {
    if (this.#closed || !this.#listener || this.#reconnecting !== undefined) return;
    this.#reconnecting = setTimeout(async () => {
      this.#reconnecting = undefined;
      try {
        await this.#connect();
        this.#listener?.isBack();
      } catch {
        this.#reconnect();
      }
    }, RECONNECT);
  }

  #connect(): Promise<Deno.UnixConn> {
    return this.#connecting ??= this.#open();
  }

  async #open(): Promise<Deno.UnixConn> {
    try {
      const conn = await Deno.connect({ transport: "unix", path: this.#path });
      this.#conn = conn;
      if (this.#closed) this.#lost(conn);
      else this.#read(conn).catch(() => {}).finally(() => this.#lost(conn));
      return conn;
    } catch (error) {
      this.#connecting = undefined;
      throw new KeeperError(
        `the keeper does not answer at ${this.#path}: ${(error as Error).message}`,
        "start it: wgd keeper",
      );
    }
  }

  async #read(conn: Deno.UnixConn): Promise<void> {
    let rest = "";
    for await (const text of conn.readable.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.#receive(JSON.parse(line));
    }
  }

  #receive(reply: Reply | Notice): void {
    if ("up" in reply) return this.#listener?.cameUp(reply.up);
    if ("routes" in reply) return this.#listener?.routesChanged();
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ("error" in reply) waiting?.reject(new KeeperError(reply.error.message, reply.error.hint));
    else waiting?.resolve(reply.gives);
  }

  #lost(conn: Deno.UnixConn): void {
    if (this.#conn !== conn) return;
    this.#conn = undefined;
    this.#connecting = undefined;
    for (const { reject } of this.#waiting.values()) reject(new KeeperError("the keeper has ended"));
    this.#waiting.clear();
    try {
      conn.close();
    } catch {
      // It is already closed, because its end was read.
    }
    this.#reconnect();
  }

  /**
   * Ends it later, even if the keeper has not answered by then. So a keeper that never answers does not keep this process
   * from ending.
   */
  closeIn(milliseconds: number): void {
    this.#closing ??= setTimeout(() => this[Symbol.dispose](), milliseconds);
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    clearTimeout(this.#closing);
    clearTimeout(this.#reconnecting);
    if (this.#conn) this.#lost(this.#conn);
  }
}

async function writeAll(conn: Deno.UnixConn, bytes: Uint8Array): Promise<void> {
  for (let sent = 0; sent < bytes.length;) sent += await conn.write(bytes.subarray(sent));
}
