/**
 * ICMP of a host in this process: echo requests both ways, and errors both ways.
 *
 * @module
 */

import {
  type Endpoint,
  ICMP_HEADER,
  icmpLength,
  type IpPacket,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  writeIcmp,
} from "./ip.ts";

/** What ICMP needs of its host. */
export interface IcmpHost {
  /** Queues a packet. @returns False if too many bytes are waiting. */
  enqueue(length: number, write: (out: Uint8Array) => void): boolean;
  /** Our source address for a destination. */
  addressFor(remote: Uint8Array): Uint8Array;
  random16(): number;
  /** Milliseconds on a clock that never goes back. */
  now(): number;
  /**
   * Handles an error that quotes a TCP segment of ours.
   *
   * @param mtu The path's MTU, if the segment was too long; else 0.
   */
  segmentFailed(local: Endpoint, remote: Endpoint, seq: number, mtu: number): void;
  /** Handles an error about a datagram that we sent. */
  datagramFailed(port: number, remote: Endpoint): void;
}

/** The most ICMP errors that are sent in a second (RFC 4443 §2.4 asks for a limit). */
const ERRORS_PER_SECOND = 100;
/** Bytes of a packet that an ICMP error quotes, its IP header included. */
const QUOTED = 548;

const ECHO_REQUEST = { 4: 8, 6: 128 } as const;
const ECHO_REPLY = { 4: 0, 6: 129 } as const;

/** ICMP of one host. */
export class Icmp {
  readonly #host: IcmpHost;
  readonly #pings = new Map<number, (data: Uint8Array) => void>();
  #errorsLeft = ERRORS_PER_SECOND;
  #errorSecond = 0;

  constructor(host: IcmpHost) {
    this.#host = host;
  }

  /** Sends an echo request; `answered` gets the data of the answer. @returns A function that stops waiting. */
  ping(to: Uint8Array, sequence: number, data: Uint8Array, answered: (data: Uint8Array) => void): () => void {
    const address = this.#host.addressFor(to);
    const id = this.#host.random16();
    const message = new Uint8Array(ICMP_HEADER + data.length);
    const view = new DataView(message.buffer);
    message[0] = ECHO_REQUEST[to.length === 4 ? 4 : 6];
    view.setUint16(4, id);
    view.setUint16(6, sequence);
    message.set(data, ICMP_HEADER);
    const key = id << 16 | sequence;
    this.#pings.set(key, answered);
    this.#send(address, to, message);
    return () => this.#pings.delete(key);
  }

  /** Handles a message with a correct checksum. */
  receive({ payload, family, source, destination }: IpPacket): void {
    const [type, code] = payload;
    const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
    if (type === ECHO_REQUEST[family]) {
      const reply = payload.slice();
      reply[0] = ECHO_REPLY[family];
      this.#send(destination.slice(), source.slice(), reply);
    } else if (type === ECHO_REPLY[family]) {
      const key = view.getUint16(4) << 16 | view.getUint16(6);
      const answered = this.#pings.get(key);
      this.#pings.delete(key);
      answered?.(payload.slice(ICMP_HEADER));
    } else if (family === 4 ? type === 3 : type === 1 || type === 2) {
      const tooBig = family === 4 ? code === 4 : type === 2;
      const mtu = family === 4 ? view.getUint16(6) : view.getUint32(4);
      this.#receiveError(payload.subarray(ICMP_HEADER), tooBig ? mtu : 0, tooBig);
    }
  }

  /** Handles an error about a packet that we sent. It counts only if the quoted packet is ours (RFC 5927). */
  #receiveError(quoted: Uint8Array, mtu: number, tooBig: boolean): void {
    const version = quoted.length > 0 ? quoted[0]! >>> 4 : 0;
    const header = version === 4 ? (quoted[0]! & 15) * 4 : 40;
    if (version !== 4 && version !== 6 || quoted.length < header + 8) return;
    const [source, destination] = version === 4
      ? [quoted.subarray(12, 16), quoted.subarray(16, 20)]
      : [quoted.subarray(8, 24), quoted.subarray(24, 40)];
    const view = new DataView(quoted.buffer, quoted.byteOffset + header, 8);
    const local = { address: source, port: view.getUint16(0) };
    const remote = { address: destination, port: view.getUint16(2) };
    const protocol = version === 4 ? quoted[9] : quoted[6];
    if (protocol === PROTOCOL_TCP && (!tooBig || mtu > 0)) {
      this.#host.segmentFailed(local, remote, view.getUint32(4), mtu);
    } else if (protocol === PROTOCOL_UDP && !tooBig) {
      this.#host.datagramFailed(local.port, { address: destination.slice(), port: remote.port });
    }
  }

  /** Sends "port unreachable" (RFC 1122 §4.1.3.1, RFC 4443 §3.1) at a limited rate. */
  portUnreachable(packet: IpPacket, bytes: Uint8Array): void {
    const now = this.#host.now();
    if (now >= this.#errorSecond + 1_000) [this.#errorSecond, this.#errorsLeft] = [now, ERRORS_PER_SECOND];
    if (this.#errorsLeft <= 0) return;
    this.#errorsLeft--;
    const message = new Uint8Array(ICMP_HEADER + Math.min(bytes.length, QUOTED));
    message.set(packet.family === 4 ? [3, 3] : [1, 4]);
    message.set(bytes.subarray(0, QUOTED), ICMP_HEADER);
    this.#send(packet.destination.slice(), packet.source.slice(), message);
  }

  #send(from: Uint8Array, to: Uint8Array, message: Uint8Array): void {
    this.#host.enqueue(icmpLength(to, message.length), (out) => writeIcmp(out, from, to, message));
  }
}
