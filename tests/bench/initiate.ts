/**
 * Plays many peers that begin handshakes with one daemon, from one UDP socket. It runs inside a host, by itself; its only
 * argument is {@linkcode Order} in JSON. It prints "ready", and at the end {@linkcode Answers} in JSON.
 *
 * A daemon that is under load sends a cookie, and so may one that is merely asked often (boringtun: more than a hundred a
 * second). The refused message goes out again with the cookie, as do all that follow. So that the limit of 20 a second
 * for each source, which holds under load, does not become what is measured, fewer messages wait for their answers than
 * any daemon here takes for load.
 *
 * @module
 */

import { BufferArena } from "../../ffi/arena.ts";
import { Epoll } from "../../ffi/epoll.ts";
import { EPOLLIN } from "../../ffi/linux.ts";
import { UdpSocket } from "../../ffi/udp.ts";
import { CookieChecker, CookieJar } from "../../core/protocol/cookie.ts";
import type { Milliseconds } from "../../core/protocol/clock.ts";
import { endpointWords } from "../../core/protocol/endpoint.ts";
import {
  COOKIE_REPLY_LENGTH,
  CookieReply,
  INITIATION_LENGTH,
  isHandshakeMessage,
  MESSAGE_RESPONSE,
  messageType,
  readIndex,
  Response,
} from "../../core/protocol/messages.ts";
import { Wasm } from "../../wasm/mod.ts";
import { decodeInitiations, INITIATORS } from "./initiations.ts";

/** What it is told. */
export interface Order {
  /** Where the initiations are (initiations.ts). */
  readonly file: string;
  /** The first message to send, and the one after the last. */
  readonly first: number;
  readonly end: number;
  /** The daemon's IPv4 address and port, and its public key in base64. */
  readonly address: string;
  readonly port: number;
  readonly publicKey: string;
  /** Messages a second; without it, as fast as answers come. */
  readonly rate?: number;
  /** How long, at most. */
  readonly seconds: number;
}

/** What came of it. */
export interface Answers {
  /** Responses whose mac1 is the initiator's: whoever made it had opened the initiation. */
  readonly answered: number;
  /** Cookies received. */
  readonly cookies: number;
  /** From the first message to the last answer. */
  readonly seconds: number;
}

/** Messages that wait for an answer at a time. wireguard-go takes 128 for load, wgd and the kernel 512. */
const WINDOW = 32;
/** Milliseconds of silence after which what waits for an answer will not get one. */
const SILENCE = 500;
const CAPACITY = 65_536;

if (import.meta.main) main(JSON.parse(Deno.args[0]!) as Order);

function main(order: Order): void {
  const initiators = new Initiators(order);
  console.log("ready");
  console.log(JSON.stringify(order.rate === undefined ? initiators.saturate() : initiators.pace(order.rate)));
}

class Initiators {
  readonly #arena = new BufferArena(1 << 18);
  readonly #socket: UdpSocket;
  readonly #epoll: Epoll;
  readonly #at: number;
  readonly #to: Uint32Array;
  readonly #messages: Uint8Array;
  readonly #checkers: CookieChecker[];
  /** Of all of them: they have one address, and cookies are for addresses. */
  readonly #jar: CookieJar;
  readonly #order: Order;
  readonly #open = new Set<number>();
  #next: number;
  #answered = 0;
  #cookies = 0;
  #lastAnswer = 0;

  constructor(order: Order) {
    this.#order = order;
    this.#next = order.first;
    this.#at = this.#arena.allocate(CAPACITY);
    this.#socket = UdpSocket.open(this.#arena, {
      family: 4,
      port: 0,
      mark: 0,
      features: { segment: false, gro: false },
    });
    this.#epoll = new Epoll(this.#arena);
    this.#epoll.add(this.#socket.fd, EPOLLIN);
    const address = Uint8Array.from(order.address.split(".").map(Number));
    this.#to = endpointWords({ family: 4, address, port: order.port, scope: 0 });
    const wasm = new Wasm();
    this.#jar = new CookieJar(wasm, Uint8Array.fromBase64(order.publicKey));
    const { keys, messages } = decodeInitiations(Deno.readFileSync(order.file));
    this.#messages = messages;
    this.#checkers = keys.map((key) => {
      const checker = new CookieChecker(wasm, () => {});
      checker.setPublicKey(key);
      return checker;
    });
  }

  /** Sends the next whenever one is answered. */
  saturate(): Answers {
    const start = performance.now();
    this.#lastAnswer = start;
    const end = start + this.#order.seconds * 1e3;
    while (performance.now() < end) {
      while (this.#open.size < WINDOW && this.#next < this.#order.end) this.#send(this.#next++);
      if (this.#open.size === 0) break;
      if (this.#epoll.wait(SILENCE) === 0) this.#open.clear();
      this.#receive();
    }
    return this.#answers(start);
  }

  /** Sends at an even rate. */
  pace(rate: number): Answers {
    const start = performance.now();
    this.#lastAnswer = start;
    const count = Math.min(this.#order.end - this.#order.first, Math.ceil(rate * this.#order.seconds));
    for (let sent = 0; sent < count;) {
      const due = start + sent / rate * 1e3;
      const wait = Math.ceil(due - performance.now());
      if (wait > 0) {
        this.#epoll.wait(wait);
        this.#receive();
        continue;
      }
      this.#send(this.#next++);
      sent++;
    }
    while (this.#open.size > 0 && this.#epoll.wait(SILENCE) > 0) this.#receive();
    return this.#answers(start);
  }

  #answers(start: number): Answers {
    const seconds = (this.#lastAnswer - start) / 1e3;
    return { answered: this.#answered, cookies: this.#cookies, seconds };
  }

  #send(i: number): void {
    const message = this.#messages.subarray(i * INITIATION_LENGTH, (i + 1) * INITIATION_LENGTH);
    // The first mac stays what it was; the second comes with a cookie.
    this.#jar.addMacs(message, performance.now() as Milliseconds);
    this.#arena.bytes.set(message, this.#at);
    this.#open.add(i);
    this.#socket.send(this.#to, this.#at, message.length, 0, 0);
  }

  #receive(): void {
    for (;;) {
      const length = this.#socket.receive(this.#at, CAPACITY);
      if (length === 0) return;
      const datagram = this.#arena.bytes.slice(this.#at, this.#at + length);
      if (!isHandshakeMessage(datagram)) continue;
      if (messageType(datagram) === MESSAGE_RESPONSE) this.#response(datagram);
      else if (length === COOKIE_REPLY_LENGTH) this.#cookie(datagram);
    }
  }

  #response(datagram: Uint8Array): void {
    const i = readIndex(datagram, Response.receiver);
    if (!this.#open.has(i) || !this.#checkers[i % INITIATORS]!.mac1IsValid(datagram)) return;
    this.#open.delete(i);
    this.#answered++;
    this.#lastAnswer = performance.now();
  }

  /** The jar knows the mac1 of the last message only, which is what a cookie is bound to: sign once more, then open. */
  #cookie(datagram: Uint8Array): void {
    const i = readIndex(datagram, CookieReply.receiver);
    if (!this.#open.has(i)) return;
    const now = performance.now() as Milliseconds;
    this.#jar.addMacs(this.#messages.subarray(i * INITIATION_LENGTH, (i + 1) * INITIATION_LENGTH), now);
    if (!this.#jar.consumeReply(datagram, now)) return;
    this.#cookies++;
    this.#send(i);
  }
}
