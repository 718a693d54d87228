/**
 * Copies bytes between two connections, both ways, until both have ended.
 *
 * @module
 */

import type { ProxyHandshake, ProxyRequest, Refusal } from "../proxy/handshake.ts";
import { TooManyConnections } from "./too_many_connections.ts";
import type { Waiter } from "./waiters.ts";

/** A stream that can be read and written without waiting. */
export interface Immediate {
  /** Reads all that has arrived and fits. @returns Null at the end of the stream; undefined if nothing has arrived. */
  readNow(buffer: Uint8Array): number | null | undefined;
  /** Wakes the waiter once, when something may have arrived or the stream has ended; at once if that is so already. */
  whenReadable(waiter: Waiter): void;
  /** Writes what fits. @returns Bytes written. */
  writeNow(bytes: Uint8Array): number;
  /** From now on, this learns of a failure although nobody reads or writes; null ends that. */
  reportFailure?(to: FailureListener | null): void;
}

/** Something that learns of the failure of a connection. */
export interface FailureListener {
  ended(error: Error): void;
}

/** Something that can be read and written. An idle stream that is not `Immediate` needs a buffer. */
export interface ByteStream extends Pick<Deno.Conn, "read" | "write" | "closeWrite">, Partial<Immediate> {}

/** Bytes that are read at a time, and bytes of the buffer with which an idle stream waits. */
const CHUNK = 65_536;
const SMALL = 4_096;
/** Free buffers that are kept for the next chunk, of all relays together. */
const KEPT = 16;
const free: Uint8Array[] = [];
const NOTHING = new Uint8Array();
/** For what is copied at once. */
const early = new Uint8Array(SMALL);

/** Writes all bytes. */
export async function writeAll(to: Pick<ByteStream, "write">, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) written += await to.write(bytes.subarray(written));
}

/** Copies both ways. When one side ends its stream, only that direction ends. */
export async function relay(a: ByteStream, b: ByteStream): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    new Relay(a, b, (error) => error === undefined ? resolve() : reject(error));
  });
}

/** Copies both ways. It is not a function that waits, because such functions and their promises take kilobytes. */
export class Relay {
  #directions = 2;
  readonly #over: (error?: unknown) => void;

  /** @param over Called once: when both directions have ended, or with the error when one has failed. */
  constructor(a: ByteStream, b: ByteStream, over: (error?: unknown) => void) {
    this.#over = over;
    this.#begin(a, b);
    this.#begin(b, a);
  }

  #begin(from: ByteStream, to: ByteStream): void {
    if (isImmediate(from)) new Direction(from, to, this).wake();
    else copy(from, to).then(() => this.ended(), (error) => this.ended(error));
  }

  /** A direction has ended, or has failed. */
  ended(error?: unknown): void {
    if (this.#directions === 0) return;
    this.#directions = error === undefined ? this.#directions - 1 : 0;
    if (this.#directions === 0) this.#over(error);
  }
}

function isImmediate(stream: ByteStream): stream is ByteStream & Immediate {
  return stream.readNow !== undefined;
}

/** One direction of a relay. While nothing arrives, it is the only object of this direction. */
class Direction implements Waiter {
  readonly #from: ByteStream & Immediate;
  readonly #to: ByteStream;
  readonly #relay: Relay;

  constructor(from: ByteStream & Immediate, to: ByteStream, relay: Relay) {
    this.#from = from;
    this.#to = to;
    this.#relay = relay;
  }

  /** Something may have arrived. */
  wake(): void {
    // Not at once: whoever reports this is not ready for what follows.
    queueMicrotask(() => this.#copy());
  }

  /** Copies until there is nothing left, or no room. */
  #copy(): void {
    const buffer = free.pop() ?? new Uint8Array(CHUNK);
    try {
      for (;;) {
        const length = this.#from.readNow(buffer);
        if (length === undefined) return this.#from.whenReadable(this);
        if (length === null) return void this.#end();
        const written = this.#to.writeNow?.(buffer.subarray(0, length)) ?? 0;
        // A copy, because most of the large buffer may be unused, for as long as the other end does not read.
        if (written < length) return void this.#write(buffer.slice(written, length));
        // Whatever has arrived since then is reported at once.
        if (length < buffer.length) return this.#from.whenReadable(this);
      }
    } catch (error) {
      this.#relay.ended(error);
    } finally {
      if (free.length < KEPT) free.push(buffer);
    }
  }

  async #write(rest: Uint8Array): Promise<void> {
    try {
      // The other end may never read again, and nobody reads from this one meanwhile.
      this.#from.reportFailure?.(this.#relay);
      await writeAll(this.#to, rest);
      this.#from.reportFailure?.(null);
      this.#copy();
    } catch (error) {
      this.#relay.ended(error);
    }
  }

  async #end(): Promise<void> {
    try {
      // Nobody reads from this end any more.
      this.#from.reportFailure?.(this.#relay);
      await this.#to.closeWrite();
      this.#relay.ended();
    } catch (error) {
      this.#relay.ended(error);
    }
  }
}

/** Copies from a stream that waits with a buffer. It is a small one, because most connections of a proxy are idle. */
async function copy(from: ByteStream, to: ByteStream): Promise<void> {
  const small = new Uint8Array(SMALL);
  // A stream that fills its buffer probably has more.
  for (let full = false;;) {
    const length: number | null = await (full ? copyMuch(from, to) : copyOnce(from, to, small));
    if (length === null) break;
    full = length === (full ? CHUNK : SMALL);
  }
  await to.closeWrite();
}

/**
 * Copies what the next read returns. A function of its own, because a function that waits keeps the buffers of all its
 * variables, also of those that it no longer needs.
 *
 * @returns Bytes copied; null at the end of the stream.
 */
async function copyOnce(from: ByteStream, to: ByteStream, buffer: Uint8Array): Promise<number | null> {
  const length = await from.read(buffer);
  if (length !== null) await writeAll(to, buffer.subarray(0, length));
  return length;
}

/** The same with a large buffer. */
async function copyMuch(from: ByteStream, to: ByteStream): Promise<number | null> {
  const buffer = free.pop() ?? new Uint8Array(CHUNK);
  const length = await copyOnce(from, to, buffer);
  if (free.length < KEPT) free.push(buffer);
  return length;
}

/** A program whose first bytes are read while its connection through the tunnel is opened. */
export class EarlyReader implements ByteStream {
  readonly #program: ByteStream;
  #buffer = NOTHING;
  #arrived = 0;
  #first: Promise<number | null> | null = null;

  constructor(program: ByteStream) {
    this.#program = program;
    if (isImmediate(program)) return;
    this.#buffer = new Uint8Array(SMALL);
    this.#first = program.read(this.#buffer);
    // An error is for whoever reads.
    this.#first.then((length) => this.#arrived = length ?? 0, () => {});
  }

  /** Takes the bytes that have arrived. `rest` returns those that follow. Called once, before `rest`. */
  take(): Uint8Array {
    if (isImmediate(this.#program)) return early.slice(0, readQuietly(this.#program));
    if (this.#arrived > 0) this.#first = null;
    return this.#buffer.subarray(0, this.#arrived);
  }

  /** The program, without the bytes that were taken. */
  get rest(): ByteStream {
    return this.#first === null ? this.#program : this;
  }

  /** Reads like the program. @param buffer The first one has room for 4 KiB. */
  async read(buffer: Uint8Array): Promise<number | null> {
    const [first, bytes] = [this.#first, this.#buffer];
    this.#first = null;
    this.#buffer = NOTHING;
    if (first === null) return await this.#program.read(buffer);
    const length = await first;
    if (length !== null) buffer.set(bytes.subarray(0, length));
    return length;
  }

  write(bytes: Uint8Array): Promise<number> {
    return this.#program.write(bytes);
  }

  closeWrite(): Promise<void> {
    return this.#program.closeWrite();
  }
}

/** Reads what has arrived into `early`. @returns 0 if there is nothing, or the next read will report an end or an error. */
function readQuietly(program: Immediate): number {
  try {
    return program.readNow(early) ?? 0;
  } catch {
    return 0;
  }
}

/** Reads a program's request. @returns Undefined if the request cannot be served. */
export async function converse(
  program: Pick<ByteStream, "read" | "write">,
  handshake: ProxyHandshake,
): Promise<ProxyRequest | undefined> {
  const buffer = new Uint8Array(16_384);
  for (;;) {
    const length = await program.read(buffer);
    if (length === null) return undefined;
    const { reply, request, over } = handshake.push(buffer.subarray(0, length));
    if (reply) await writeAll(program, reply);
    if (request || over) return request;
  }
}

/** Milliseconds after which a listener that could not accept a connection tries again. */
const ACCEPT_PAUSE = 100;

/**
 * All connections of a listener, until it is closed. `accept` may fail for a temporary reason: no descriptor was free, or the
 * program disconnected first (accept(2)). Deno's own iterator would end then.
 *
 * @param onFailure Called once per series of failures.
 */
export async function* accepted<Conn>(
  listener: { accept(): Promise<Conn> },
  onFailure: (error: Error) => void,
): AsyncGenerator<Conn, void, void> {
  for (let failed = false;;) {
    let conn: Conn;
    try {
      conn = await listener.accept();
    } catch (error) {
      if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) return;
      if (!failed) onFailure(error as Error);
      failed = true;
      await new Promise((resolve) => setTimeout(resolve, ACCEPT_PAUSE));
      continue;
    }
    failed = false;
    yield conn;
  }
}

/** The reason for an error that a proxy reports to its program. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof TooManyConnections) return "too many connections";
  if (error instanceof Deno.errors.ConnectionRefused) return "refused";
  if (error instanceof Deno.errors.NotFound) return "unknown host";
  if (error instanceof Deno.errors.TimedOut) return "timed out";
  if (error instanceof Deno.errors.NetworkUnreachable) return "unreachable";
  return "failed";
}

/** Closes something that may be closed already. */
export function closeQuietly(closable: { close(): void }): void {
  try {
    closable.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}
