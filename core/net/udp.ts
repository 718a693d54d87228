/**
 * UDP of a host in this process: its ports, and datagrams both ways.
 *
 * @module
 */

import { type Endpoint, type IpPacket, parseUdp, udpLength, VIRTIO_HEADER, writeUdp } from "./ip.ts";

/** Receives what arrives at a UDP port. */
export interface UdpEvents {
  /** A datagram. The bytes are valid until the call returns. */
  datagram(from: Endpoint, to: Uint8Array, data: Uint8Array): void;
  /** An ICMP error about a datagram that was sent from here. */
  unreachable(to: Endpoint): void;
}

/** What UDP needs of its host. */
export interface UdpHost {
  /** Queues a packet. @returns False if too many bytes are waiting. */
  enqueue(length: number, write: (out: Uint8Array) => void): boolean;
  /** Our source address for a destination. @throws {RangeError} If we have none of that family. */
  addressFor(remote: Uint8Array): Uint8Array;
  /** Bytes of the longest IP packet. */
  readonly mtu: number;
  /** Ports to choose from, in the order in which they are tried. */
  somePorts(): Iterable<number>;
  /** Answers a datagram for a closed port. */
  portUnreachable(packet: IpPacket, bytes: Uint8Array): void;
  /** Counts what was dropped. */
  readonly drops: { badChecksum: number; closedPort: number };
}

/** UDP of one host. */
export class Udp {
  readonly #host: UdpHost;
  readonly #ports = new Map<number, UdpEvents>();

  constructor(host: UdpHost) {
    this.#host = host;
  }

  /**
   * Takes a port.
   *
   * @param port 0 for any.
   * @returns The port; null if it is in use.
   */
  bind(port: number, events: UdpEvents): number | null {
    for (const candidate of port === 0 ? this.#host.somePorts() : [port]) {
      if (this.#ports.has(candidate)) continue;
      this.#ports.set(candidate, events);
      return candidate;
    }
    return null;
  }

  unbind(port: number): void {
    this.#ports.delete(port);
  }

  /**
   * Sends a datagram.
   *
   * @returns False if too many bytes are waiting.
   * @throws {RangeError} If we have no address of that family, or the datagram is too long for one packet.
   */
  send(port: number, to: Endpoint, data: Uint8Array): boolean {
    const { mtu } = this.#host;
    const address = this.#host.addressFor(to.address);
    const length = udpLength(to, data.length);
    if (length - VIRTIO_HEADER > mtu) {
      throw new RangeError(`a datagram of ${data.length} bytes does not fit the tunnel's MTU of ${mtu}`);
    }
    return this.#host.enqueue(length, (out) => writeUdp(out, { address, port }, to, data));
  }

  /** Handles a packet to this host; `bytes` is all of it. */
  receive(packet: IpPacket, bytes: Uint8Array): void {
    const datagram = parseUdp(packet);
    if (datagram === null) {
      this.#host.drops.badChecksum++;
      return;
    }
    const events = this.#ports.get(datagram.to);
    if (events) {
      events.datagram({ address: packet.source, port: datagram.from }, packet.destination, datagram.data);
    } else {
      this.#host.drops.closedPort++;
      this.#host.portUnreachable(packet, bytes);
    }
  }

  /** Handles an ICMP error about a datagram that was sent from a port. */
  failed(port: number, remote: Endpoint): void {
    this.#ports.get(port)?.unreachable(remote);
  }
}
