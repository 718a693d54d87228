/**
 * A TCP connection through the tunnel, with the API of Deno's connections.
 *
 * @module
 */

import { formatAddress } from "../config/address.ts";
import {
  CONNECTED,
  type ConnectionId,
  ENDED,
  READABLE,
  type TcpEndpoint,
  type TcpFailure,
  WRITABLE,
} from "../../wasm/tcp.ts";
import type { NetConn } from "./api.ts";
import type { ConnectionEvents, IpHost } from "./ip_host.ts";
import { type Waiter, Waiters } from "./waiters.ts";

/** The most bytes that a stream reads at a time. */
const CHUNK = 65_536;

/** A connection. The members that `Deno.TcpConn` also has behave as they do there. */
export class TcpConn implements NetConn, ConnectionEvents {
  /** Our end. */
  readonly localAddr: Deno.NetAddr;
  /** The other end. */
  readonly remoteAddr: Deno.NetAddr;
  readonly #host: IpHost;
  readonly #id: ConnectionId;
  readonly #forget: (conn: TcpConn) => void;
  readonly #readers = new Waiters();
  readonly #writers = new Waiters();
  #error: Error | null = null;
  #closed = false;
  #readEnded = false;
  #writeEnded = false;
  #readable: ReadableStream<Uint8Array<ArrayBuffer>> | undefined;
  #writable: WritableStream<Uint8Array<ArrayBufferLike>> | undefined;

  /** @param forget Called when it is closed. */
  constructor(host: IpHost, id: ConnectionId, forget: (conn: TcpConn) => void) {
    const { local, remote } = host.tcp.endpoints(id)!;
    this.localAddr = netAddr("tcp", local);
    this.remoteAddr = netAddr("tcp", remote);
    this.#host = host;
    this.#id = id;
    this.#forget = forget;
    host.attend(id, this);
  }

  /** Handles events of the connection. */
  handle(bits: number): void {
    if (bits & ENDED) {
      this.#fail(errorOf(this.#host.tcp.state(this.#id)?.failure ?? "reset", this.remoteAddr));
    }
    if (bits & READABLE) this.#readers.wake();
    if (bits & (WRITABLE | CONNECTED)) this.#writers.wake();
  }

  /**
   * Reads the bytes that have arrived, or waits for some.
   *
   * @returns Bytes read; null at the end of the stream.
   * @throws {Deno.errors.ConnectionReset} If the peer has reset the connection.
   * @throws {Deno.errors.BadResource} If it was closed.
   */
  async read(buffer: Uint8Array): Promise<number | null> {
    for (;;) {
      const taken = this.#take(buffer);
      if (taken !== 0 || buffer.length === 0) return taken;
      await this.#readers.wait();
    }
  }

  /** Reads without waiting. @returns Undefined if nothing has arrived. */
  readNow(buffer: Uint8Array): number | null | undefined {
    const taken = this.#take(buffer);
    return taken === 0 ? undefined : taken;
  }

  /** Wakes the waiter once, when something may have arrived. */
  whenReadable(waiter: Waiter): void {
    if (this.#closed || this.#error || this.#mayRead()) waiter.wake();
    else this.#readers.add(waiter);
  }

  #mayRead(): boolean {
    const state = this.#host.tcp.state(this.#id);
    return state !== null && (state.readable > 0 || state.atEnd);
  }

  /** @returns 0 if there is nothing yet. */
  #take(buffer: Uint8Array): number | null {
    if (this.#closed) throw this.#error;
    const { tcp } = this.#host;
    let taken = 0;
    // The stack keeps them in blocks. All of them together, because the reader will probably make a system call for each read.
    while (taken < buffer.length) {
      const piece = tcp.peek(this.#id).subarray(0, buffer.length - taken);
      if (piece.length === 0) break;
      buffer.set(piece, taken);
      tcp.consume(this.#id, piece.length, this.#host.now);
      taken += piece.length;
    }
    if (taken > 0) {
      this.#host.flush();
      return taken;
    }
    if (this.#error) throw this.#error;
    return tcp.state(this.#id)?.atEnd ? null : 0;
  }

  /**
   * Writes as much as fits into the buffer, at least one byte.
   *
   * @returns Bytes written.
   * @throws {Deno.errors.BrokenPipe} If our stream was ended.
   */
  async write(data: Uint8Array): Promise<number> {
    for (;;) {
      const written = this.writeNow(data);
      if (written > 0 || data.length === 0) return written;
      await this.#writers.wait();
    }
  }

  /** Writes what fits, without waiting. @returns Bytes written. */
  writeNow(data: Uint8Array): number {
    if (this.#error) throw this.#error;
    if (this.#writeEnded) throw new Deno.errors.BrokenPipe("this side of the connection was closed");
    const { tcp } = this.#host;
    let written = 0;
    while (written < data.length) {
      const room = tcp.reserve(this.#id);
      if (room.length === 0) break;
      const part = data.subarray(written, written + room.length);
      room.set(part);
      tcp.commit(this.#id, part.length);
      written += part.length;
    }
    if (written > 0) this.#host.flush();
    return written;
  }

  /** Ends the outgoing stream. The incoming stream stays open. */
  closeWrite(): Promise<void> {
    if (!this.#closed && !this.#writeEnded) {
      this.#writeEnded = true;
      this.#host.tcp.finish(this.#id);
      this.#host.flush();
      this.#writers.wake();
    }
    return Promise.resolve();
  }

  /** Closes the connection after all written data has been sent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#error = new Deno.errors.BadResource("the connection was closed");
    this.#host.release(this.#id);
    this.#readers.wake();
    this.#writers.wake();
    this.#forget(this);
  }

  /** Closes the connection at once. Unsent data is lost, and the peer receives a reset. */
  abort(): void {
    if (!this.#closed) this.#host.tcp.abort(this.#id);
    this.close();
  }

  /** The tunnel was closed. */
  lose(error: Error): void {
    this.#closed = true;
    this.#error = error;
    this.#readers.wake();
    this.#writers.wake();
  }

  #fail(error: Error): void {
    this.#error ??= error;
    this.#readers.wake();
    this.#writers.wake();
  }

  /** The bytes that the peer sends. */
  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#readable ??= new ReadableStream({
      type: "bytes",
      autoAllocateChunkSize: CHUNK,
      pull: async (controller) => {
        const request = controller.byobRequest!;
        const view = request.view!;
        const length = await this.read(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
        if (length !== null) return request.respond(length);
        controller.close();
        request.respond(0);
        this.#readEnded = true;
        this.#closeWhenDone();
      },
      cancel: () => this.close(),
    });
  }

  /** The bytes to send to the peer. Closing it ends the outgoing stream. */
  get writable(): WritableStream<Uint8Array<ArrayBufferLike>> {
    return this.#writable ??= new WritableStream({
      write: async (chunk) => {
        for (let written = 0; written < chunk.length;) written += await this.write(chunk.subarray(written));
      },
      close: async () => {
        await this.closeWrite();
        this.#closeWhenDone();
      },
      abort: () => this.abort(),
    });
  }

  /** As in Deno, a connection is closed when both of its streams have ended. */
  #closeWhenDone(): void {
    if (this.#readEnded && this.#writeEnded) this.close();
  }

  /** Has no effect, because small writes are never delayed. */
  setNoDelay(_noDelay?: boolean): void {}

  setKeepAlive(keepAlive = true): void {
    if (this.#closed) return;
    this.#host.tcp.keepAlive(this.#id, keepAlive);
    // A timer may be the next one now.
    this.#host.flush();
  }

  /** Has no effect, because the tunnel keeps the event loop alive, not its connections. */
  ref(): void {}

  /** As `ref`. */
  unref(): void {}

  /** As `close`. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** An end of a connection in Deno's form. */
export function netAddr(transport: "tcp" | "udp", { address, port }: TcpEndpoint): Deno.NetAddr {
  return { transport, hostname: formatAddress(address), port };
}

/** The error that Deno throws for a failure. */
export function errorOf(failure: TcpFailure, { hostname, port }: Deno.NetAddr): Error {
  const where = hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
  switch (failure) {
    case "refused":
      return new Deno.errors.ConnectionRefused(`${where} refused the connection`);
    case "reset":
      return new Deno.errors.ConnectionReset(`${where} reset the connection`);
    case "timed out":
      return new Deno.errors.TimedOut(`${where} did not answer`);
    case "unreachable":
      return new Deno.errors.NetworkUnreachable(`${where} cannot be reached through the tunnel`);
  }
}
