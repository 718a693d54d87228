/**
 * The control socket of an engine in this process. Requests and replies are passed in memory, as the same text as over a
 * socket (`core/uapi/`).
 *
 * @module
 */

import type { ControlEvents, ControlSocket, ControlStream, StreamInterest } from "../engine/doors.ts";
import type { EventLoopHost, Source } from "./event_loop_host.ts";

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** One request and its reply. */
class Exchange implements ControlStream, Source {
  readonly reply: Promise<string>;
  #request: Uint8Array;
  #parts: string[] = [];
  #interest: StreamInterest = "nothing";
  #ready: () => void = () => {};
  #resolve!: (reply: string) => void;

  constructor(request: Iterable<string>, readonly host: EventLoopHost) {
    this.#request = encoder.encode([...request].join(""));
    this.reply = new Promise((resolve) => this.#resolve = resolve);
  }

  read(into: Uint8Array): number {
    const part = this.#request.subarray(0, into.length);
    into.set(part);
    // Requests hold keys.
    part.fill(0);
    this.#request = this.#request.subarray(part.length);
    return part.length;
  }

  write(bytes: Uint8Array): number {
    this.#parts.push(decoder.decode(bytes, { stream: true }));
    return bytes.length;
  }

  watch(ready: () => void): void {
    this.#ready = ready;
    this.host.add(this);
  }

  wait(interest: StreamInterest): void {
    this.#interest = interest;
  }

  get pending(): boolean {
    return this.#interest !== "nothing";
  }

  ready(): void {
    this.#ready();
  }

  close(): void {
    this.host.remove(this);
    this.#resolve(this.#parts.join(""));
  }
}

/** A control socket in memory. Other processes can reach it only through connections that are passed to it. */
export class MemoryControl implements ControlSocket, Source {
  readonly #host: EventLoopHost;
  #events: ControlEvents | null = null;
  #waiting: ControlStream[] = [];
  #listening = true;

  constructor(host: EventLoopHost) {
    this.#host = host;
    host.add(this);
  }

  /** Sends the engine a request. @param request Its text with the final empty line. */
  async ask(request: Iterable<string>): Promise<string> {
    if (!this.#host.running) throw new Deno.errors.BadResource("the tunnel was closed");
    const exchange = new Exchange(request, this.#host);
    this.enter(exchange);
    return await exchange.reply;
  }

  /** Takes a connection from elsewhere. */
  enter(stream: ControlStream): void {
    this.#waiting.push(stream);
    this.#host.wake();
  }

  watch(events: ControlEvents): void {
    this.#events = events;
  }

  listen(on: boolean): void {
    this.#listening = on;
  }

  get pending(): boolean {
    return this.#listening && this.#waiting.length > 0;
  }

  ready(): void {
    this.#events?.waiting();
  }

  accept(): ControlStream | null {
    return this.#waiting.shift() ?? null;
  }

  close(): void {
    this.#events = null;
    for (const stream of this.#waiting.splice(0)) stream.close();
  }
}
