/**
 * Sends questions to a DNS server through the tunnel: over UDP, each from its own port, or over TCP.
 *
 * @module
 */

import { parseAddress } from "../../config/address.ts";
import type { Endpoint } from "../ip.ts";
import type { IpHost } from "../ip_host.ts";
import type { TcpConn } from "../conn.ts";
import type { DnsTransport } from "./resolver.ts";

const DNS_PORT = 53;

/** Sends questions from a host in userspace. */
export class TunnelDns implements DnsTransport {
  readonly #host: IpHost;
  readonly #connect: (remote: Endpoint, signal: AbortSignal) => Promise<TcpConn>;

  /** @param connect Opens a connection through the tunnel. */
  constructor(host: IpHost, connect: (remote: Endpoint, signal: AbortSignal) => Promise<TcpConn>) {
    this.#host = host;
    this.#connect = connect;
  }

  async datagram(
    server: string,
    question: Uint8Array,
    taken: (answer: Uint8Array) => boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const to = endpoint(server);
    // A random port that is used only for this question (RFC 5452 §9.2).
    const port = this.#host.udp.bind(0, {
      datagram: (from, _to, data) => {
        if (from.port === DNS_PORT && sameBytes(from.address, to.address) && taken(data)) resolve();
      },
      unreachable: () => reject(new Deno.errors.ConnectionRefused(`${server} does not serve DNS`)),
    });
    if (port === null) throw new Deno.errors.AddrInUse("all UDP ports of the tunnel are in use");
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      signal.throwIfAborted();
      this.#host.udp.send(port, to, question);
      await promise;
    } finally {
      signal.removeEventListener("abort", abort);
      this.#host.udp.unbind(port);
    }
  }

  async stream(server: string, question: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const conn = await this.#connect(endpoint(server), signal);
    const abort = () => conn.close();
    signal.addEventListener("abort", abort, { once: true });
    try {
      // Over TCP a message follows its length (RFC 1035 §4.2.2).
      const message = new Uint8Array(2 + question.length);
      new DataView(message.buffer).setUint16(0, question.length);
      message.set(question, 2);
      for (let sent = 0; sent < message.length;) sent += await conn.write(message.subarray(sent));
      const head = await readWhole(conn, 2);
      return await readWhole(conn, head[0]! << 8 | head[1]!);
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener("abort", abort);
      conn.close();
    }
  }

  random(): number {
    return crypto.getRandomValues(new Uint16Array(1))[0]!;
  }

  now(): number {
    return performance.now();
  }
}

async function readWhole(conn: TcpConn, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const read = await conn.read(bytes.subarray(at));
    if (read === null) throw new Deno.errors.UnexpectedEof("the DNS server closed the connection");
    at += read;
  }
  return bytes;
}

function endpoint(server: string): Endpoint {
  const address = parseAddress(server);
  if (!address) throw new TypeError(`"${server}" is not the address of a DNS server`);
  return { address, port: DNS_PORT };
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
