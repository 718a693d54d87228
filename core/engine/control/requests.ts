/**
 * Splits the bytes of a connection into requests. Each ends with an empty line or at the end of the stream
 * (wireguard-go, uapi.go).
 *
 * @module
 */

const NEWLINE = 10;

const decoder = new TextDecoder();

/** The requests of one connection. */
export class Requests {
  /** The pieces of the incomplete request, as they were received. */
  #pieces: Uint8Array[] = [];
  #length = 0;
  /** Whether the last byte was a newline, so that one more ends the request. */
  #atLineStart = false;

  /** Number of bytes of the incomplete request. */
  get length(): number {
    return this.#length;
  }

  /** Takes a copy of bytes. @returns The requests that are complete now, each with its empty line. */
  add(bytes: Uint8Array): string[] {
    const whole: string[] = [];
    let from = 0;
    for (let i = 0; i < bytes.length; i++) {
      const newline = bytes[i] === NEWLINE;
      if (newline && this.#atLineStart && this.#length + i - from > 0) {
        this.#keep(bytes.subarray(from, i + 1));
        whole.push(this.#take());
        from = i + 1;
      }
      this.#atLineStart = newline;
    }
    this.#keep(bytes.subarray(from));
    return whole;
  }

  /** The stream has ended. @returns The last request, if there was one. */
  last(): string[] {
    return this.#length > 0 ? [this.#take()] : [];
  }

  /** Erases the bytes of an incomplete request. */
  forget(): void {
    for (const piece of this.#pieces) piece.fill(0);
    this.#pieces = [];
    this.#length = 0;
  }

  #keep(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#pieces.push(bytes.slice());
    this.#length += bytes.length;
  }

  #take(): string {
    const whole = new Uint8Array(this.#length);
    let at = 0;
    for (const piece of this.#pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    this.forget();
    const request = decoder.decode(whole);
    whole.fill(0);
    return request;
  }
}
