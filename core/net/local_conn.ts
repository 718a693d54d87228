/**
 * Connections of programs on this machine over our own sockets, with the API of Deno's connections. An idle one takes a
 * fraction of the memory of Deno's, and needs no buffer while it waits (tests/bench/FINDINGS.md).
 *
 * @module
 */

import { formatAddress } from "../config/address.ts";
import type { FailureListener, Immediate } from "./relay.ts";
import { type Waiter, Waiters } from "./waiters.ts";

/** What the proxy needs of a program's connection. Deno's connections have all that is not optional. */
export interface LocalConn
  extends
    Pick<Deno.Conn, "read" | "write" | "closeWrite" | "close" | "localAddr" | "remoteAddr">,
    Partial<Immediate> {
  /** Closes it so that the program learns of a failure: with a reset, over TCP. */
  abort?(): void;
}

/** An end of a TCP connection. */
interface Name {
  readonly address: Uint8Array;
  readonly port: number;
}

/** Sockets by their descriptors. A negative result is an errno. */
export interface StreamSockets {
  /** @throws {Error} If the port is in use, or this machine does not have the address. */
  listenTcp(name: Name): number;
  /** @throws {Error} If there is a file. */
  listenUnix(path: string): number;
  /** @returns -1 if no connection waits. @throws {Error} If there are no descriptors left. */
  accept(listener: number): number;
  /** The errno of a call that would have to wait. */
  readonly again: number;
  /** @returns 0 at the end of the stream. */
  receive(fd: number, into: Uint8Array<ArrayBuffer>): number;
  send(fd: number, bytes: Uint8Array<ArrayBuffer>): number;
  end(fd: number): void;
  /** @returns The errno with which the connection has failed, told once; 0 if it has not. */
  failure(fd: number): number;
  /** Lets `close` reset the connection. */
  breakOff(fd: number): void;
  close(fd: number): void;
  /** Null for a Unix socket. */
  localName(fd: number): Name | null;
  /** Null for a Unix socket. */
  remoteName(fd: number): Name | null;
  /** Wakes the waiter if the descriptor may be read, and whenever it may be read again. Closing it ends this. */
  watch(fd: number, waiter: Waiter): void;
  /**
   * Wakes the waiter once: when something has arrived or the stream has ended, when there is room for sending, or, in any
   * case, when the connection has failed. It replaces what was asked before. Always with the same waiter. Closing the
   * descriptor ends this.
   */
  watchOnce(fd: number, waiter: Waiter, arrivals: boolean, room: boolean): void;
  /** The text of an errno. */
  describe(errno: number): string;
}

/** Calls in a row that may succeed at once before the rest of this program gets its turn. */
const AT_ONCE = 16;
let atOnce = 0;

/**
 * Waits for the rest of this program now and then. Otherwise a program that connects or sends without a pause would stop the
 * tunnel, as promises that need not wait go before timers and events.
 */
async function takeTurns(): Promise<void> {
  if (++atOnce % AT_ONCE === 0) await new Promise((resolve) => setTimeout(resolve));
}

/** Bits of the events that a connection waits for. */
const ARRIVAL = 1;
const ROOM = 2;
/** It is part of each report, and can be waited for alone. */
const FAILURE = 4;

/** A program's connection. */
class SocketConn implements LocalConn, Waiter {
  readonly #sockets: StreamSockets;
  readonly #fd: number;
  readonly #readers = new Waiters();
  readonly #writers = new Waiters();
  #failureListener: FailureListener | null = null;
  #error: Error | null = null;
  #closed = false;
  /**
   * The events that the sockets will report. Only what somebody waits for, and once, as each report wakes the program. A
   * program that sends faster than the tunnel would otherwise be reported all the time.
   */
  #awaited = 0;

  constructor(sockets: StreamSockets, fd: number) {
    this.#sockets = sockets;
    this.#fd = fd;
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    if (buffer.length === 0) return 0;
    for (;;) {
      const length = this.readNow(buffer);
      if (length !== undefined) {
        await takeTurns();
        return length;
      }
      await new Promise<void>((wake) => this.whenReadable({ wake }));
    }
  }

  readNow(buffer: Uint8Array): number | null | undefined {
    if (this.#error) throw this.#error;
    const length = this.#sockets.receive(this.#fd, buffer as Uint8Array<ArrayBuffer>);
    if (length >= 0) return length || null;
    if (length === this.#sockets.again) return undefined;
    throw this.#fail(length);
  }

  #fail(errno: number): Error {
    const why = this.#sockets.describe(errno);
    return this.#error = new Deno.errors.ConnectionReset(`a program's connection has failed: ${why}`);
  }

  whenReadable(waiter: Waiter): void {
    if (this.#error) return waiter.wake();
    this.#await(ARRIVAL);
    this.#readers.add(waiter);
  }

  async write(bytes: Uint8Array): Promise<number> {
    for (;;) {
      const length = this.writeNow(bytes);
      if (length > 0 || bytes.length === 0) return length;
      this.#await(ROOM);
      await this.#writers.wait();
    }
  }

  writeNow(bytes: Uint8Array): number {
    if (this.#closed) throw this.#error;
    const length = this.#sockets.send(this.#fd, bytes as Uint8Array<ArrayBuffer>);
    if (length >= 0) return length;
    if (length === this.#sockets.again) return 0;
    throw new Deno.errors.BrokenPipe(`a program does not read any more: ${this.#sockets.describe(length)}`);
  }

  #await(event: typeof ARRIVAL | typeof ROOM | typeof FAILURE): void {
    if (this.#closed || (this.#awaited & event) !== 0) return;
    const events = this.#awaited | event;
    this.#sockets.watchOnce(this.#fd, this, (events & ARRIVAL) !== 0, (events & ROOM) !== 0);
    this.#awaited = events;
  }

  reportFailure(to: FailureListener | null): void {
    this.#failureListener = to;
    if (to) this.#await(FAILURE);
  }

  /** Something may have arrived, there may be room, or the connection has failed. */
  wake(): void {
    const reported = this.#awaited;
    this.#awaited = 0;
    this.#readers.wake();
    this.#writers.wake();
    if (!this.#failureListener || this.#closed) return;
    const errno = this.#sockets.failure(this.#fd);
    if (errno < 0) this.#failureListener.ended(this.#fail(errno));
    // Not if it was awaited alone: a program that has closed its end of a Unix socket would be reported without end.
    else if (reported !== FAILURE) this.#await(FAILURE);
  }

  closeWrite(): Promise<void> {
    if (!this.#closed) this.#sockets.end(this.#fd);
    return Promise.resolve();
  }

  abort(): void {
    if (!this.#closed) this.#sockets.breakOff(this.#fd);
    this.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#error = new Deno.errors.BadResource("the connection was closed");
    this.#sockets.close(this.#fd);
    this.wake();
  }

  get localAddr(): Deno.Addr {
    return addressOf(this.#sockets.localName(this.#fd));
  }

  get remoteAddr(): Deno.Addr {
    return addressOf(this.#sockets.remoteName(this.#fd));
  }
}

/** A listening socket. */
export class SocketListener {
  /** The port of TCP that it listens on; 0 for a Unix socket. */
  readonly port: number;
  readonly #sockets: StreamSockets;
  readonly #fd: number;
  readonly #waiters = new Waiters();
  #closed = false;

  /** @param fd It belongs to the listener. */
  constructor(sockets: StreamSockets, fd: number) {
    this.#sockets = sockets;
    this.#fd = fd;
    try {
      this.port = sockets.localName(fd)?.port ?? 0;
      sockets.watch(fd, this.#waiters);
    } catch (error) {
      sockets.close(fd);
      throw error;
    }
  }

  /**
   * Waits for a connection.
   *
   * @throws {Deno.errors.BadResource} If it is or gets closed.
   * @throws {Error} If there are no descriptors left.
   */
  async accept(): Promise<LocalConn> {
    for (;;) {
      if (this.#closed) throw new Deno.errors.BadResource("the listener was closed");
      const fd = this.#sockets.accept(this.#fd);
      if (fd >= 0) {
        await takeTurns();
        if (!this.#closed) return new SocketConn(this.#sockets, fd);
        // Nobody expects it any more.
        this.#sockets.close(fd);
        continue;
      }
      await this.#waiters.wait();
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#sockets.close(this.#fd);
    this.#waiters.wake();
  }
}

function addressOf(name: Name | null): Deno.Addr {
  if (name === null) return { transport: "unix", path: "" };
  return { transport: "tcp", hostname: formatAddress(name.address), port: name.port };
}
