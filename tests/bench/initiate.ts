/**
 * Simulates many peers that begin handshakes with one daemon, each from its own address. It runs inside a host, as a
 * separate process. Its only argument is {@linkcode Order} in JSON. It prints "ready", and at the end {@linkcode
 * Answers} in JSON.
 *
 * A daemon under load sends a cookie, and so may one that gets many initiations (boringtun: more than a hundred per
 * second). The refused message is then sent again with the cookie, as are all later ones. Under load, a source may make
 * 20 handshakes per second. With one address for all, only this limit would be measured.
 *
 * @module
 */

import { BufferArena } from "../../ffi/linux/arena.ts";
import { Epoll } from "../../ffi/linux/epoll.ts";
import { EPOLLIN } from "../../ffi/linux/constants.ts";
import { UdpSocket } from "../../ffi/linux/udp_socket.ts";
import { parseSocketAddress } from "../../core/config/endpoint.ts";
import { CookieChecker, CookieJar } from "../../core/protocol/cookie.ts";
import type { Milliseconds } from "../../core/protocol/clock.ts";
import { type EndpointWords, endpointWords } from "../../core/protocol/endpoint.ts";
import {
  CookieReply,
  INITIATION_LENGTH,
  isHandshakeMessage,
  MESSAGE_COOKIE_REPLY,
  MESSAGE_RESPONSE,
  messageType,
  readIndex,
  Response,
} from "../../core/protocol/messages.ts";
import { Wasm } from "../../wasm/mod.ts";
import { decodeInitiations, INITIATORS } from "./initiations.ts";

/** The argument of the program. */
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
  /** Messages per second; without it, as fast as they are answered. */
  readonly rate?: number;
  /** How long, at most. */
  readonly seconds: number;
}

/** The result. */
export interface Answers {
  /** Responses with a correct mac1. Their sender has opened the initiation. */
  readonly answered: number;
  /** Cookies received. */
  readonly cookies: number;
  /** From the first message to the last answer. */
  readonly seconds: number;
}

/** The first two bytes of the initiators' addresses. Their host answers to all that begin with them. */
export const NETWORK = "10.99";
/** Offset of the source address in the words of an endpoint (core/protocol/endpoint.ts). */
const SOURCE = 8;
/**
 * Messages that wait for an answer at the same time. With 128, wireguard-go is under load; wgd and the kernel with 512.
 */
const WINDOW = 32;
/** Milliseconds of silence after which a missing answer counts as lost. */
const SILENCE = 500;
const CAPACITY = 65_536;

function main(order: Order): void {
  const initiators = new Initiators(order);
  console.log("ready");
  console.log(JSON.stringify(order.rate === undefined ? initiators.saturate() : initiators.pace(order.rate)));
}

/** An initiator. */
interface Initiator {
  /** Its own port, because boringtun attributes everything from a port to the peer that used it first. */
  readonly socket: UdpSocket;
  /** The daemon, from this initiator's address. */
  readonly to: EndpointWords;
  readonly jar: CookieJar;
  /** Knows its public key. */
  readonly checker: CookieChecker;
}

class Initiators {
  readonly #arena = new BufferArena(1 << 20);
  readonly #epoll = new Epoll(this.#arena);
  readonly #at = this.#arena.allocate(CAPACITY);
  readonly #messages: Uint8Array;
  readonly #initiators: Initiator[];
  readonly #byDescriptor = new Map<number, Initiator>();
  readonly #order: Order;
  /** Messages that wait for their answers. */
  readonly #open = new Set<number>();
  #next: number;
  #answered = 0;
  #cookies = 0;
  #lastAnswer = 0;

  constructor(order: Order) {
    this.#order = order;
    this.#next = order.first;
    const daemon = parseSocketAddress(`${order.address}:${order.port}`)!;
    const { keys, messages } = decodeInitiations(Deno.readFileSync(order.file));
    this.#messages = messages;
    const wasm = new Wasm();
    const responder = Uint8Array.fromBase64(order.publicKey);
    this.#initiators = keys.map((key, i) => {
      const to = endpointWords(daemon);
      to[SOURCE] = endpointWords(parseSocketAddress(`${NETWORK}.${1 + (i >> 8)}.${i & 255}:1`)!)[2]!;
      const features = { segment: false, gro: false };
      const socket = UdpSocket.open(this.#arena, { family: 4, port: 0, mark: 0, features });
      const checker = new CookieChecker(wasm, () => {});
      checker.setPublicKey(key);
      return { socket, to, checker, jar: new CookieJar(wasm, responder) };
    });
    for (const initiator of this.#initiators) {
      this.#byDescriptor.set(initiator.socket.fd, initiator);
      this.#epoll.add(initiator.socket.fd, EPOLLIN);
    }
  }

  /** Sends the next message whenever one is answered. */
  saturate(): Answers {
    const start = performance.now();
    this.#lastAnswer = start;
    const end = start + this.#order.seconds * 1e3;
    while (performance.now() < end) {
      while (this.#open.size < WINDOW && this.#next < this.#order.end) this.#send(this.#next++);
      if (this.#open.size === 0) break;
      if (!this.#receive(SILENCE)) this.#open.clear();
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
        this.#receive(wait);
        continue;
      }
      this.#send(this.#next++);
      sent++;
    }
    while (this.#open.size > 0 && this.#receive(SILENCE));
    return this.#answers(start);
  }

  #answers(start: number): Answers {
    const seconds = (this.#lastAnswer - start) / 1e3;
    return { answered: this.#answered, cookies: this.#cookies, seconds };
  }

  #message(i: number): Uint8Array {
    return this.#messages.subarray(i * INITIATION_LENGTH, (i + 1) * INITIATION_LENGTH);
  }

  #send(i: number): void {
    const { jar, socket, to } = this.#initiators[i % INITIATORS]!;
    const message = this.#message(i);
    // The first part stays the same. The second one is sent with a cookie.
    jar.addMacs(message, performance.now() as Milliseconds);
    this.#arena.bytes.set(message, this.#at);
    this.#open.add(i);
    socket.send(to, this.#at, message.length, 0, 0);
  }

  /** Receives for this many milliseconds. @returns Whether anything arrived. */
  #receive(timeout: number): boolean {
    const ready = this.#epoll.wait(timeout);
    const initiators = Array.from(
      { length: ready },
      (_, i) => this.#byDescriptor.get(this.#epoll.readyFd(i))!,
    );
    for (const initiator of initiators) {
      const length = initiator.socket.receive(this.#at, CAPACITY);
      const datagram = this.#arena.bytes.slice(this.#at, this.#at + length);
      if (!isHandshakeMessage(datagram)) continue;
      if (messageType(datagram) === MESSAGE_RESPONSE) this.#response(initiator, datagram);
      else if (messageType(datagram) === MESSAGE_COOKIE_REPLY) this.#cookie(initiator, datagram);
    }
    return ready > 0;
  }

  #response({ checker }: Initiator, datagram: Uint8Array): void {
    if (!checker.mac1IsValid(datagram) || !this.#open.delete(readIndex(datagram, Response.receiver))) return;
    this.#answered++;
    this.#lastAnswer = performance.now();
  }

  #cookie({ jar }: Initiator, datagram: Uint8Array): void {
    const i = readIndex(datagram, CookieReply.receiver);
    if (!this.#open.has(i) || !jar.consumeReply(datagram, performance.now() as Milliseconds)) return;
    this.#cookies++;
    this.#send(i);
  }
}

if (import.meta.main) main(JSON.parse(Deno.args[0]!) as Order);
