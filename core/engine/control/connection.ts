/**
 * One program at the control socket: requests in, replies out, never a wait. The bytes of a slow reader stay here
 * until epoll says that it reads again.
 *
 * @module
 */

/** A request longer than this is refused: a hundred thousand peers with ten allowed IPs each take 60 MB. */
const MAX_REQUEST = 256 << 20;

/** What a connection needs of its socket (`ffi/linux/unix_socket.ts` fits). */
export interface Stream {
  /** Reads into `into`. @returns Bytes; 0 at the end of the stream; -1 when nothing waits; -2 when it broke. */
  read(into: Uint8Array): number;
  /** @returns Bytes taken; -1 when it would block; -2 when it broke. */
  write(bytes: Uint8Array): number;
}

/**
 * Answers one whole request; the pieces of the answer are made as the reader takes them, and an empty one only lets packets
 * pass.
 */
export type Respond = (request: string) => Iterator<string>;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const NEWLINE = 10;

/** One connection to the control socket. */
export class UapiConnection {
  /** Bytes of the request that is being received, in the pieces they came in. */
  #received: Uint8Array[] = [];
  #receivedBytes = 0;
  /** Whether the last byte kept was a newline, so that one more ends the request. */
  #atLineStart = false;
  #ended = false;
  /** Replies to be sent, in order. */
  #replies: Iterator<string>[] = [];
  #unsent: Uint8Array | null = null;
  #working = false;
  /** Whether nobody is at the other end any more. */
  #broken = false;

  constructor(readonly stream: Stream, readonly respond: Respond) {}

  /** Whether a reply waits for its reader: then epoll should watch for writing, not for reading. */
  get replying(): boolean {
    return this.#unsent !== null || this.#replies.length > 0;
  }

  /**
   * Whether a reply is being worked on that does not wait for its reader: `writable` is to be called in the next turn,
   * whether epoll says so or not. A change that has begun must not wait for somebody who does not read.
   */
  get working(): boolean {
    return this.#working;
  }

  /**
   * Reads once, and begins to answer a request that is whole. Packets come in between: neither here nor in `writable` is
   * there a loop that a busy program at the other end can keep going.
   *
   * @returns False when the connection is over.
   */
  readable(buffer: Uint8Array): boolean {
    return this.#broken || this.#read(buffer) || this.#abandon();
  }

  /** Makes and sends one piece of a reply, or what is left of one. @returns False when the connection is over. */
  writable(): boolean {
    return this.#broken ? this.#goOn() : this.#write() || this.#abandon();
  }

  /** Gives the replies up. @returns Whether one is being worked on: a change that is half done is finished. */
  #abandon(): boolean {
    this.#broken = true;
    this.#unsent = null;
    this.#replies.length = Math.min(this.#replies.length, 1);
    return this.#working || this.#end();
  }

  /** A turn's work at what nobody waits for; a reply that has come to its words is over. */
  #goOn(): boolean {
    const { done, value } = this.#replies[0]!.next();
    return !done && value === "" || this.#end();
  }

  #end(): false {
    this.#replies[0]?.return?.();
    this.#replies = [];
    return this.#working = false;
  }

  #read(buffer: Uint8Array): boolean {
    const length = this.stream.read(buffer);
    if (length === -1) return true;
    if (length === -2) return false;
    if (length === 0) {
      // The end of the stream ends a request too (wireguard-go, uapi.go).
      this.#ended = true;
      if (this.#receivedBytes === 0) return false;
      this.#answer();
    } else if (!this.#accept(buffer.subarray(0, length))) return false;
    return !this.replying || this.#write();
  }

  #write(): boolean {
    this.#working = false;
    while (this.#unsent === null && this.#replies.length > 0) {
      const { done, value } = this.#replies[0]!.next();
      if (done) this.#replies.shift();
      else if (value === "") return this.#working = true;
      else this.#unsent = encoder.encode(value);
    }
    if (this.#unsent !== null) {
      const taken = this.stream.write(this.#unsent);
      if (taken === -1) return true;
      if (taken < 0) return false;
      this.#unsent = taken === this.#unsent.length ? null : this.#unsent.subarray(taken);
    }
    return this.replying || !this.#ended;
  }

  /** Keeps bytes; a blank line ends the request. @returns False when the request is too long. */
  #accept(bytes: Uint8Array): boolean {
    let from = 0;
    for (let i = 0; i < bytes.length; i++) {
      const newline = bytes[i] === NEWLINE;
      if (newline && this.#atLineStart && this.#receivedBytes + i - from > 0) {
        this.#keep(bytes.subarray(from, i + 1));
        this.#answer();
        from = i + 1;
      }
      this.#atLineStart = newline;
    }
    this.#keep(bytes.subarray(from));
    return this.#receivedBytes <= MAX_REQUEST;
  }

  #keep(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#received.push(bytes.slice());
    this.#receivedBytes += bytes.length;
  }

  /** Hands the kept bytes over as one request; a second one in the same piece is answered after the first. */
  #answer(): void {
    const whole = new Uint8Array(this.#receivedBytes);
    let at = 0;
    for (const piece of this.#received) {
      whole.set(piece, at);
      at += piece.length;
      piece.fill(0);
    }
    this.#received = [];
    this.#receivedBytes = 0;
    this.#replies.push(this.respond(decoder.decode(whole)));
    whole.fill(0);
  }
}
