/**
 * Connections as streams of `node:stream`, for database drivers, `node:tls`, `node:http` and `npm:ws`.
 *
 * @module
 */

import { Duplex } from "node:stream";
import type { TcpConn } from "./conn.ts";

const CHUNK = 65_536;

/** The members of a socket that drivers use besides those of a stream. */
export class ConnDuplex extends Duplex {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly #conn: TcpConn;

  constructor(conn: TcpConn) {
    super({ allowHalfOpen: true });
    this.#conn = conn;
    this.remoteAddress = conn.remoteAddr.hostname;
    this.remotePort = conn.remoteAddr.port;
  }

  override _read(): void {
    const buffer = new Uint8Array(CHUNK);
    this.#conn.read(buffer).then(
      (length) => this.push(length === null ? null : buffer.subarray(0, length)),
      (error) => this.destroy(error),
    );
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    this.#writeAll(chunk).then(() => done(), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#conn.closeWrite().then(() => done(), done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (error) this.#conn.abort();
    else this.#conn.close();
    done(error);
  }

  /** The same as in `net.Socket`. Drivers close only an open socket. */
  get readyState(): "open" | "readOnly" | "writeOnly" | "closed" {
    const [readable, writable] = [!this.readableEnded, !this.writableEnded];
    if (this.destroyed || !readable && !writable) return "closed";
    return readable && writable ? "open" : readable ? "readOnly" : "writeOnly";
  }

  /** Has no effect, because small writes are never delayed. */
  setNoDelay(): this {
    return this;
  }

  /** As that of `NetConn`. The initial delay cannot be chosen. */
  setKeepAlive(enable = false): this {
    this.#conn.setKeepAlive(enable);
    return this;
  }

  /** Has no effect. Use a signal for a timeout. */
  setTimeout(): this {
    return this;
  }

  /** Has no effect, because the tunnel keeps the event loop alive. */
  ref(): this {
    return this;
  }

  /** As `ref`. */
  unref(): this {
    return this;
  }

  async #writeAll(chunk: Uint8Array): Promise<void> {
    for (let written = 0; written < chunk.length;) written += await this.#conn.write(chunk.subarray(written));
  }
}
