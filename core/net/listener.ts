/**
 * Accepts connections from the tunnel, with the API of Deno's listeners.
 *
 * @module
 */

import type { NetListener } from "./api.ts";
import type { TcpConn } from "./conn.ts";
import { Waiters } from "./waiters.ts";

/** What a listener needs. */
export interface ListenerHost {
  /** Takes the next connection that waits. */
  accept(): TcpConn | null;
  /** Ends listening: later connections are refused. */
  unlisten(): void;
}

/** A TCP port of the tunnel's address. */
export class TcpListener implements NetListener {
  readonly #waiters = new Waiters();
  #closed: Error | null = null;

  constructor(readonly addr: Deno.NetAddr, readonly host: ListenerHost) {}

  /** Called when connections may wait. */
  handle(): void {
    this.#waiters.wake();
  }

  /**
   * Waits for a connection.
   *
   * @throws {Deno.errors.BadResource} If the listener is or gets closed.
   */
  async accept(): Promise<TcpConn> {
    for (;;) {
      if (this.#closed) throw this.#closed;
      const conn = this.host.accept();
      if (conn) return conn;
      await this.#waiters.wait();
    }
  }

  /** Closes the listener. Connections that were not accepted are reset. */
  close(): void {
    if (this.#closed) return;
    this.lose(new Deno.errors.BadResource("the listener was closed"));
    this.host.unlisten();
  }

  /** The tunnel was closed. */
  lose(error: Error): void {
    this.#closed ??= error;
    this.#waiters.wake();
  }

  /** Every connection, until the listener or the tunnel is closed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<TcpConn, void, void> {
    for (;;) {
      let conn: TcpConn;
      try {
        conn = await this.accept();
      } catch (error) {
        if (this.#closed) return;
        throw error;
      }
      yield conn;
    }
  }

  /** Has no effect, because the tunnel keeps the event loop alive. */
  ref(): void {}

  /** As `ref`. */
  unref(): void {}

  /** As `close`. */
  [Symbol.dispose](): void {
    this.close();
  }
}
