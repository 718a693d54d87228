/**
 * SOCKS5: CONNECT and UDP ASSOCIATE, with or without a user and a password (RFC 1928, RFC 1929).
 *
 * @module
 */

import { formatAddress, parseAddress } from "../config/address.ts";
import {
  type Credentials,
  joined,
  knows,
  type ProxyHandshake,
  type ProxyStep,
  type Refusal,
  type Target,
} from "./handshake.ts";

const VERSION = 5;
const PASSWORD_VERSION = 1;
const NO_AUTHENTICATION = 0;
const USER_AND_PASSWORD = 2;
const NO_METHOD = 0xff;
const CONNECT = 1;
const ASSOCIATE = 3;
const IPV4 = 1;
const NAME = 3;
const IPV6 = 4;

/** RFC 1928 §6. */
const REPLIES: Readonly<Record<Refusal, number>> = {
  failed: 1,
  // SOCKS5 has no reply for it.
  "too many connections": 1,
  "not allowed": 2,
  unreachable: 4,
  "unknown host": 4,
  refused: 5,
  "timed out": 6,
};
const COMMAND_UNKNOWN = 7;
const ADDRESS_UNKNOWN = 8;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const UNSPECIFIED: Target = { host: "0.0.0.0", port: 0 };

/** A parsed message; null while it is incomplete. */
type Part = { readonly step: ProxyStep; readonly used: number } | null;

/** The handshake with a program that uses SOCKS5. */
export class Socks5 implements ProxyHandshake {
  #received: Uint8Array = new Uint8Array();
  #state: "greeting" | "password" | "request" | "over" = "greeting";

  /** @param credentials The user and password that programs must send; undefined if none is required. */
  constructor(readonly credentials?: Credentials) {}

  push(bytes: Uint8Array): ProxyStep {
    this.#received = joined(this.#received, bytes);
    const replies: Uint8Array[] = [];
    for (;;) {
      const part = this.#part();
      if (part === null) break;
      this.#received = this.#received.subarray(part.used);
      const { reply, request, over } = part.step;
      if (reply) replies.push(reply);
      if (request || over) {
        this.#state = "over";
        return {
          ...(replies.length > 0 && { reply: concat(replies) }),
          ...(request && { request: { ...request, first: this.#received.slice() } }),
          ...(over && { over }),
        };
      }
    }
    return replies.length > 0 ? { reply: concat(replies) } : {};
  }

  granted(bound: Target): Uint8Array {
    return reply(0, bound);
  }

  refused(why: Refusal): Uint8Array {
    return reply(REPLIES[why], UNSPECIFIED);
  }

  #part(): Part {
    switch (this.#state) {
      case "greeting":
        return this.#greeting();
      case "password":
        return this.#password();
      case "request":
        return this.#request();
      case "over":
        return null;
    }
  }

  #greeting(): Part {
    const [version, count] = this.#received;
    // A client with another protocol gets no reply.
    if (version !== undefined && version !== VERSION) return { step: { over: true }, used: 1 };
    if (count === undefined || this.#received.length < 2 + count) return null;
    const methods = this.#received.subarray(2, 2 + count);
    const wanted = this.credentials ? USER_AND_PASSWORD : NO_AUTHENTICATION;
    const used = 2 + count;
    if (!methods.includes(wanted)) {
      return { step: { reply: Uint8Array.of(VERSION, NO_METHOD), over: true }, used };
    }
    this.#state = this.credentials ? "password" : "request";
    return { step: { reply: Uint8Array.of(VERSION, wanted) }, used };
  }

  #password(): Part {
    const received = this.#received;
    if (received.length > 0 && received[0] !== PASSWORD_VERSION) return { step: { over: true }, used: 1 };
    const userLength = received[1];
    if (userLength === undefined) return null;
    const passwordLength = received[2 + userLength];
    if (passwordLength === undefined || received.length < 3 + userLength + passwordLength) return null;
    const user = decoder.decode(received.subarray(2, 2 + userLength));
    const used = 3 + userLength + passwordLength;
    const right = knows(this.credentials!, user, decoder.decode(received.subarray(3 + userLength, used)));
    received.fill(0, 0, used);
    this.#state = "request";
    const answer = Uint8Array.of(PASSWORD_VERSION, right ? 0 : 1);
    return { step: right ? { reply: answer } : { reply: answer, over: true }, used };
  }

  #request(): Part {
    const received = this.#received;
    if (received.length > 0 && received[0] !== VERSION) return { step: { over: true }, used: 1 };
    if (received.length < 4) return null;
    const address = readTarget(received, 3);
    if (address === null) return null;
    if (address === "unknown") {
      return { step: { reply: reply(ADDRESS_UNKNOWN, UNSPECIFIED), over: true }, used: received.length };
    }
    const { target, end } = address;
    const kind = received[1] === CONNECT ? "connect" : received[1] === ASSOCIATE ? "associate" : undefined;
    if (!kind) return { step: { reply: reply(COMMAND_UNKNOWN, UNSPECIFIED), over: true }, used: end };
    return { step: { request: { kind, target, first: new Uint8Array() } }, used: end };
  }
}

/** Writes a whole request for a server without a password, so that the client does not have to wait in between. */
export function formatConnect(target: Target): Uint8Array {
  const greeting = Uint8Array.of(VERSION, 1, NO_AUTHENTICATION);
  return concat([greeting, Uint8Array.of(VERSION, CONNECT, 0), writeTarget(target)]);
}

/**
 * Parses the server's reply to {@linkcode formatConnect}.
 *
 * @returns Whether it was granted or why it was refused; a number if that many more bytes are needed.
 */
export function parseConnected(bytes: Uint8Array): "granted" | Refusal | number {
  // The reply to the greeting, and the shortest reply to the request.
  const shortest = 2 + 10;
  if (bytes.length < shortest) return shortest - bytes.length;
  if (bytes[1] !== NO_AUTHENTICATION) return "not allowed";
  const address = readTarget(bytes, 5);
  if (address === "unknown") return "failed";
  if (address === null) return (bytes[5] === NAME ? 2 + 5 + bytes[6]! + 2 : 2 + 4 + 16 + 2) - bytes.length;
  const code = bytes[3];
  if (code === 0) return "granted";
  return (Object.keys(REPLIES) as Refusal[]).find((why) => REPLIES[why] === code) ?? "failed";
}

/** A datagram between a program and a proxy (RFC 1928 §7). */
export interface SocksDatagram {
  /** Its destination or source. */
  readonly target: Target;
  readonly data: Uint8Array;
}

/** Parses a datagram. @returns Null if it is invalid, or a fragment, which may be dropped. */
export function readDatagram(bytes: Uint8Array): SocksDatagram | null {
  if (bytes.length < 4 || bytes[0] !== 0 || bytes[1] !== 0 || bytes[2] !== 0) return null;
  const address = readTarget(bytes, 3);
  if (address === null || address === "unknown") return null;
  return { target: address.target, data: bytes.subarray(address.end) };
}

/** Writes a datagram. */
export function writeDatagram({ target, data }: SocksDatagram): Uint8Array {
  return concat([Uint8Array.of(0, 0, 0), writeTarget(target), data]);
}

/** Parses an address of any kind. @returns Null if it is incomplete. */
function readTarget(bytes: Uint8Array, at: number): { target: Target; end: number } | "unknown" | null {
  const kind = bytes[at];
  if (kind !== IPV4 && kind !== IPV6 && kind !== NAME) return kind === undefined ? null : "unknown";
  let from = at + 1;
  let length: number | undefined = kind === IPV4 ? 4 : 16;
  if (kind === NAME) length = bytes[from++];
  if (length === undefined || bytes.length < from + length + 2) return null;
  const text = bytes.subarray(from, from + length);
  const end = from + length + 2;
  const host = kind === NAME ? decoder.decode(text) : formatAddress(text);
  return { target: { host, port: bytes[end - 2]! << 8 | bytes[end - 1]! }, end };
}

function writeTarget({ host, port }: Target): Uint8Array {
  const address = parseAddress(host);
  const name = encoder.encode(host).subarray(0, 255);
  const parts = address
    ? [Uint8Array.of(address.length === 4 ? IPV4 : IPV6), address]
    : [Uint8Array.of(NAME, name.length), name];
  return concat([...parts, Uint8Array.of(port >> 8, port & 0xff)]);
}

function reply(code: number, bound: Target): Uint8Array {
  return concat([Uint8Array.of(VERSION, code, 0), writeTarget(bound)]);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return parts.reduce((whole, part) => joined(whole, part), new Uint8Array());
}
