/**
 * An HTTP proxy: CONNECT, and requests with an absolute URL (RFC 9110 §9.3.6, RFC 9112 §3.2.2). A request with an
 * absolute URL has its own connection: the body follows the request, and the response ends with the connection. So
 * bodies do not have to be parsed here.
 *
 * @module
 */

import {
  type Credentials,
  joined,
  knows,
  MAX_HANDSHAKE,
  type ProxyHandshake,
  type ProxyStep,
  type Refusal,
  type Target,
} from "./handshake.ts";

const STATUSES: Readonly<Record<Refusal, string>> = {
  "not allowed": "403 Forbidden",
  refused: "502 Bad Gateway",
  unreachable: "502 Bad Gateway",
  "too many connections": "503 Service Unavailable",
  "unknown host": "502 Bad Gateway",
  failed: "502 Bad Gateway",
  "timed out": "504 Gateway Timeout",
};
const HTTPS = 443;
/** Headers that are only for the proxy (RFC 9110 §7.6.1). */
const HOP_BY_HOP = new Set([
  "connection",
  "proxy-connection",
  "proxy-authorization",
  "proxy-authenticate",
  "keep-alive",
  "te",
  "trailer",
  "upgrade",
]);
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

const encoder = new TextEncoder();
const decoder = new TextDecoder("latin1");

/** The handshake with a program that uses HTTP. */
export class HttpProxy implements ProxyHandshake {
  #received: Uint8Array = new Uint8Array();
  #tunnel = true;

  /** @param credentials The user and password that programs must send; undefined if none is required. */
  constructor(readonly credentials?: Credentials) {}

  push(bytes: Uint8Array): ProxyStep {
    // Only the end of the previous bytes can be part of the blank line.
    const searched = Math.max(0, this.#received.length - 3);
    this.#received = joined(this.#received, bytes);
    const end = endOfHead(this.#received, searched);
    if (end < 0) {
      return this.#received.length > MAX_HANDSHAKE
        ? { reply: answer("431 Request Header Fields Too Large"), over: true }
        : {};
    }
    const head = decoder.decode(this.#received.subarray(0, end));
    return this.#request(head.split(/\r?\n/).slice(0, -2), this.#received.subarray(end));
  }

  granted(_bound: Target): Uint8Array {
    return this.#tunnel ? encoder.encode("HTTP/1.1 200 Connection established\r\n\r\n") : new Uint8Array();
  }

  refused(why: Refusal): Uint8Array {
    return answer(STATUSES[why], `${why}\n`);
  }

  #request([line = "", ...fields]: string[], rest: Uint8Array): ProxyStep {
    const [method = "", url = "", version = "", ...more] = line.split(" ");
    if (!TOKEN.test(method) || !/^HTTP\/1\.[01]$/.test(version) || more.length > 0) return bad();
    const headers: [name: string, value: string][] = [];
    for (const field of fields) {
      const colon = field.indexOf(":");
      const name = field.slice(0, colon);
      if (colon < 1 || !TOKEN.test(name)) return bad();
      headers.push([name, field.slice(colon + 1).trim()]);
    }
    if (!this.#isAllowed(headers)) {
      return {
        reply: answer("407 Proxy Authentication Required", "", ['Proxy-Authenticate: Basic realm="wgd"']),
        over: true,
      };
    }
    if (method === "CONNECT") {
      const target = authority(url);
      if (!target) return bad("CONNECT needs a host and a port, such as server.internal:443");
      return { request: { kind: "connect", target, first: rest.slice() } };
    }
    return this.#forward(method, url, version, headers, rest);
  }

  #isAllowed(headers: readonly [string, string][]): boolean {
    if (!this.credentials) return true;
    const value = headers.find(([name]) => name.toLowerCase() === "proxy-authorization")?.[1] ?? "";
    const [scheme = "", text = ""] = value.split(" ");
    if (scheme.toLowerCase() !== "basic") return false;
    let decoded: string;
    try {
      decoded = new TextDecoder().decode(Uint8Array.fromBase64(text));
    } catch (error) {
      if (error instanceof SyntaxError) return false;
      throw error;
    }
    const colon = decoded.indexOf(":");
    return colon >= 0 && knows(this.credentials, decoded.slice(0, colon), decoded.slice(colon + 1));
  }

  /** Converts a request with an absolute URL to the form for its server. */
  #forward(
    method: string,
    url: string,
    version: string,
    headers: readonly [string, string][],
    rest: Uint8Array,
  ): ProxyStep {
    const parsed = URL.parse(url);
    if (parsed?.protocol === "https:") {
      return bad("https URLs need CONNECT: set this proxy as the proxy for https in the program");
    }
    if (url.startsWith("/")) {
      return bad("this is an HTTP proxy, not a web server: set it as the proxy in the program");
    }
    if (parsed?.protocol !== "http:" || parsed.hostname === "" || parsed.username || parsed.password) {
      return bad();
    }
    this.#tunnel = false;
    // The headers that a Connection header names are also only for the proxy.
    const named = headers.filter(([name]) => name.toLowerCase() === "connection")
      .flatMap(([, value]) => value.split(",").map((option) => option.trim().toLowerCase()));
    const kept = headers.filter(([name]) =>
      !HOP_BY_HOP.has(name.toLowerCase()) && !named.includes(name.toLowerCase()) &&
      name.toLowerCase() !== "host"
    );
    const lines = [
      `${method} ${parsed.pathname}${parsed.search} ${version}`,
      `Host: ${parsed.host}`,
      ...kept.map(([name, value]) => `${name}: ${value}`),
      "Connection: close",
    ];
    const head = Uint8Array.from(`${lines.join("\r\n")}\r\n\r\n`, (character) => character.charCodeAt(0));
    const target = { host: unbracketed(parsed.hostname), port: Number(parsed.port || 80) };
    return { request: { kind: "connect", target, first: joined(head, rest) } };
  }
}

/** The end of a head, after its blank line; -1 if it is incomplete. */
function endOfHead(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(10, from); at >= 0; at = bytes.indexOf(10, at + 1)) {
    if (bytes[at + 1] === 10) return at + 2;
    if (bytes[at + 1] === 13 && bytes[at + 2] === 10) return at + 3;
  }
  return -1;
}

/** `host:port`, or `[IPv6]:port`. As in wireproxy, the port may be absent. */
function authority(text: string): Target | null {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:[\]/@?#]+))(?::(\d{1,5}))?$/.exec(text);
  const port = Number(match?.[3] ?? HTTPS);
  if (!match || port < 1 || port > 65_535) return null;
  return { host: match[1] ?? match[2]!, port };
}

function unbracketed(host: string): string {
  return host.startsWith("[") ? host.slice(1, -1) : host;
}

/** @param advice What to do. */
function bad(advice = ""): ProxyStep {
  return { reply: answer("400 Bad Request", advice && `${advice}\n`), over: true };
}

function answer(status: string, body = "", headers: readonly string[] = []): Uint8Array {
  const lines = [
    `HTTP/1.1 ${status}`,
    ...headers,
    "Content-Type: text/plain",
    `Content-Length: ${encoder.encode(body).length}`,
    "Connection: close",
  ];
  return encoder.encode(`${lines.join("\r\n")}\r\n\r\n${body}`);
}
