/**
 * One connection to the control socket. It reads requests and writes replies, and never blocks. Bytes for a slow reader
 * stay here until it reads again. `serve` reads one buffer or makes one piece of a reply. Packets are processed between
 * two calls, so a busy client cannot block the engine.
 *
 * @module
 */

import type { ControlStream } from "../doors.ts";
import { Requests } from "./requests.ts";

/** A request longer than this is refused: a hundred thousand peers with ten allowed IPs each take 60 MB. */
const MAX_REQUEST = 256 << 20;

/** Result of a call to a stream: nothing can be read or written now. */
const WOULD_BLOCK = -1;
/** Result of a call to a stream: the connection broke. */
const BROKEN = -2;

/** What a connection needs of its stream. */
export type Stream = Pick<ControlStream, "read" | "write">;

/** An empty piece of a reply. Packets are processed before the next piece is made. */
export const PAUSE = "";

/** Makes the reply to a complete request, piece by piece. @returns Null for an unknown request. */
export type Respond = (request: string) => Iterator<string> | null;

/** What a connection waits for before `serve` is to be called. */
export type ConnectionState =
  /** For more of a request: until its stream can be read. */
  | "receiving"
  /** For its reader: until its stream can be written. */
  | "sending"
  /**
   * For nothing: `serve` is called in every turn. A change that has begun does not wait for a client that is slow or
   * has disconnected.
   */
  | "working"
  /** For nothing: its stream must be closed. */
  | "over";

const encoder = new TextEncoder();

/** One connection to the control socket. */
export class Connection {
  #state: ConnectionState = "receiving";
  readonly #requests = new Requests();
  /** Whether no more requests are read: the stream ended, or a request was unknown. */
  #lastRequest = false;
  /** Replies to send, in order. The first one may be partly sent. */
  #replies: Iterator<string>[] = [];
  /** The rest of the piece that is being sent. */
  #unsent: Uint8Array | null = null;
  /** Whether it has sent a whole request. */
  #hasAsked = false;

  constructor(readonly stream: Stream, readonly respond: Respond) {}

  /** What it waits for now. */
  get state(): ConnectionState {
    return this.#state;
  }

  /** Whether it has not sent a whole request. */
  get isSilent(): boolean {
    return !this.#hasAsked;
  }

  /** Does one step. @param buffer Receives what is read. It is zeroed afterwards, because requests contain keys. */
  serve(buffer: Uint8Array): void {
    switch (this.#state) {
      case "receiving":
        return this.#receive(buffer);
      case "sending":
      case "working":
        return this.#reply();
      case "over":
        return;
    }
  }

  /** Aborts what it is doing. */
  end(): void {
    this.#state = "over";
    this.#unsent?.fill(0);
    this.#unsent = null;
    this.#replies[0]?.return?.();
    this.#replies = [];
    this.#requests.forget();
  }

  #receive(buffer: Uint8Array): void {
    const length = this.stream.read(buffer);
    if (length === WOULD_BLOCK) return;
    if (length === BROKEN) return this.end();
    this.#lastRequest = length === 0;
    const requests = length === 0 ? this.#requests.last() : this.#requests.add(buffer.subarray(0, length));
    buffer.fill(0, 0, length);
    if (this.#requests.length > MAX_REQUEST) return this.end();
    for (const request of requests) {
      this.#hasAsked = true;
      const reply = this.respond(request);
      // An unknown request closes the connection, as in wireguard-go (uapi.go).
      if (reply === null) {
        this.#lastRequest = true;
        break;
      }
      this.#replies.push(reply);
    }
    if (this.#replies.length > 0 || this.#lastRequest) this.#reply();
  }

  /** Makes and sends one piece, or sends the rest of one. */
  #reply(): void {
    this.#unsent ??= this.#nextPiece();
    if (this.#unsent === null) return;
    const taken = this.stream.write(this.#unsent);
    if (taken === BROKEN) return this.end();
    if (taken > 0) {
      this.#unsent.fill(0, 0, taken);
      this.#unsent = taken < this.#unsent.length ? this.#unsent.subarray(taken) : null;
    }
    if (this.#unsent !== null || this.#replies.length > 0) this.#state = "sending";
    else this.#replied();
  }

  /** @returns Null if there is nothing to send now; `state` has the reason. */
  #nextPiece(): Uint8Array | null {
    while (this.#replies.length > 0) {
      const { done, value } = this.#replies[0]!.next();
      if (done) {
        this.#replies.shift();
      } else if (value === PAUSE) {
        this.#state = "working";
        return null;
      } else {
        return encoder.encode(value);
      }
    }
    this.#replied();
    return null;
  }

  #replied(): void {
    if (this.#lastRequest) this.end();
    else this.#state = "receiving";
  }
}
