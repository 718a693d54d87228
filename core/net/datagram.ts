/**
 * UDP through the tunnel, with the API of Deno's sockets.
 *
 * @module
 */

import { parseAddress } from "../config/address.ts";
import { netAddr } from "./conn.ts";
import { Waiters } from "./waiters.ts";
import type { Endpoint } from "./ip.ts";
import type { IpHost } from "./ip_host.ts";
import type { UdpEvents } from "./udp.ts";

/** The maximum number of datagrams and bytes in the receive buffer. Further datagrams are dropped, as in the kernel. */
const MAX_WAITING = 512;
const MAX_WAITING_BYTES = 1 << 20;

interface Received {
  readonly data: Uint8Array<ArrayBuffer>;
  readonly from: Deno.NetAddr;
}

/** A UDP port of the tunnel's address. */
export class DatagramConn implements Deno.DatagramConn, UdpEvents {
  readonly addr: Deno.NetAddr;
  readonly #host: IpHost;
  readonly #port: number;
  readonly #forget: (conn: DatagramConn) => void;
  readonly #waiters = new Waiters();
  #waiting: Received[] = [];
  #bytes = 0;
  #error: Error | null = null;
  #closed: Error | null = null;

  /**
   * @param port 0 for any.
   * @param forget Called when it is closed.
   * @throws {Deno.errors.AddrInUse} If the port is taken.
   */
  constructor(host: IpHost, local: Uint8Array, port: number, forget: (conn: DatagramConn) => void) {
    const bound = host.udp.bind(port, this);
    if (bound === null) throw new Deno.errors.AddrInUse(`UDP port ${port} of the tunnel is in use`);
    this.#host = host;
    this.#port = bound;
    this.#forget = forget;
    this.addr = netAddr("udp", { address: local, port: bound });
  }

  datagram(from: Endpoint, _to: Uint8Array, data: Uint8Array): void {
    if (this.#waiting.length >= MAX_WAITING || this.#bytes + data.length > MAX_WAITING_BYTES) return;
    this.#waiting.push({ data: data.slice(), from: netAddr("udp", from) });
    this.#bytes += data.length;
    this.#waiters.wake();
  }

  unreachable(to: Endpoint): void {
    const { hostname, port } = netAddr("udp", to);
    this.#error = new Deno.errors.ConnectionRefused(`nothing listens on UDP port ${port} of ${hostname}`);
    this.#waiters.wake();
  }

  /**
   * Waits for a datagram.
   *
   * @param buffer Receives the datagram; what does not fit is cut off. By default a new array.
   * @throws {Deno.errors.ConnectionRefused} If an ICMP error said that nothing listens on the port of an earlier datagram.
   * @throws {Deno.errors.BadResource} If it is or gets closed.
   */
  async receive(buffer?: Uint8Array<ArrayBuffer>): Promise<[Uint8Array<ArrayBuffer>, Deno.Addr]> {
    for (;;) {
      const received = this.#waiting.shift();
      if (received) {
        this.#bytes -= received.data.length;
        if (!buffer) return [received.data, received.from];
        const part = received.data.subarray(0, buffer.length);
        buffer.set(part);
        return [buffer.subarray(0, part.length), received.from];
      }
      if (this.#closed) throw this.#closed;
      if (this.#error) {
        const error = this.#error;
        this.#error = null;
        throw error;
      }
      await this.#waiters.wait();
    }
  }

  /**
   * Sends a datagram.
   *
   * @param to Its `hostname` is an address.
   * @returns Bytes sent. When the tunnel is crowded a datagram may be lost, as on any network.
   * @throws {RangeError} If it does not fit one packet, or the tunnel has no address of that family.
   */
  send(data: Uint8Array, to: Deno.Addr): Promise<number> {
    try {
      if (this.#closed) throw this.#closed;
      if (to.transport !== "udp") throw new TypeError(`a datagram cannot be sent over ${to.transport}`);
      const address = parseAddress(to.hostname);
      if (!address) throw new TypeError(`"${to.hostname}" is not an IP address; look the name up first`);
      this.#host.udp.send(this.#port, { address, port: to.port }, data);
      return Promise.resolve(data.length);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Always rejects, because WireGuard does not support multicast. */
  joinMulticastV4(): Promise<Deno.MulticastV4Membership> {
    return Promise.reject(new Deno.errors.NotSupported("a WireGuard tunnel carries no multicast"));
  }

  /** As `joinMulticastV4`. */
  joinMulticastV6(): Promise<Deno.MulticastV6Membership> {
    return Promise.reject(new Deno.errors.NotSupported("a WireGuard tunnel carries no multicast"));
  }

  /** Closes the socket and frees the port. */
  close(): void {
    if (this.#closed) return;
    this.lose(new Deno.errors.BadResource("the socket was closed"));
    this.#host.udp.unbind(this.#port);
    this.#forget(this);
  }

  /** The tunnel was closed. */
  lose(error: Error): void {
    this.#closed ??= error;
    this.#waiters.wake();
  }

  /** Every datagram, until the socket or the tunnel is closed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<[Uint8Array<ArrayBuffer>, Deno.Addr], void, void> {
    for (;;) {
      let received: [Uint8Array<ArrayBuffer>, Deno.Addr];
      try {
        received = await this.receive();
      } catch (error) {
        if (this.#closed) return;
        throw error;
      }
      yield received;
    }
  }
}
