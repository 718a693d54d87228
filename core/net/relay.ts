/**
 * Copies bytes between two connections, both ways, until both have ended.
 *
 * @module
 */

import type { ProxyHandshake, ProxyRequest, Refusal } from "../proxy/handshake.ts";

/** Something that can be read and written. */
export interface ByteStream extends Pick<Deno.Conn, "read" | "write" | "closeWrite"> {
  /** Resolves when `read` would not wait. A stream without this function needs a buffer while it waits. */
  arrived?(): Promise<void>;
}

/** Bytes that are read at a time, and bytes of the buffer with which an idle stream waits. */
const CHUNK = 65_536;
const SMALL = 4_096;
/** Free buffers that are kept for the next chunk, of all relays together. */
const KEPT = 16;
const free: Uint8Array[] = [];
const NOTHING = new Uint8Array();

/** Writes all bytes. */
export async function writeAll(to: Pick<ByteStream, "write">, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) written += await to.write(bytes.subarray(written));
}

/** Copies both ways. When one side ends its stream, only that direction ends. */
export async function relay(a: ByteStream, b: ByteStream): Promise<void> {
  await Promise.all([copy(a, b), copy(b, a)]);
}

/** An idle direction has a small buffer or none, because most connections of a proxy are idle. */
async function copy(from: ByteStream, to: ByteStream): Promise<void> {
  const small = from.arrived ? undefined : new Uint8Array(SMALL);
  // A stream that fills its buffer probably has more.
  for (let full = false;;) {
    await from.arrived?.();
    const length: number | null = await (small && !full ? copyOnce(from, to, small) : copyMuch(from, to));
    if (length === null) break;
    full = length === (small && !full ? SMALL : CHUNK);
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
  #buffer = new Uint8Array(SMALL);
  #arrived = 0;
  #first: Promise<number | null> | null;

  constructor(program: ByteStream) {
    this.#program = program;
    this.#first = program.read(this.#buffer);
    // An error is for whoever reads.
    this.#first.then((length) => this.#arrived = length ?? 0, () => {});
  }

  /** Takes the bytes that have arrived. `read` returns those that follow. Called once, before `read`. */
  take(): Uint8Array {
    if (this.#arrived > 0) this.#first = null;
    return this.#buffer.subarray(0, this.#arrived);
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
