/**
 * The two places where packets enter and leave the engine. `ffi/linux/tun.ts` and `ffi/linux/udp.ts` fit them on Linux; tests
 * fit them with arrays, and a userspace TCP/IP stack could.
 *
 * Both speak in addresses of the packet memory (bytes from its start), so that nothing is copied on the way to the
 * kernel, and both are shaped for batches: one call may carry a TSO super-packet or a GSO train of datagrams.
 *
 * @module
 */

import type { EndpointWords } from "../protocol/endpoint.ts";

/** Where inner packets come from and go to. A packet always follows a 10-byte `virtio_net_hdr`. */
export interface PacketDevice {
  /**
   * Reads one packet or super-packet.
   *
   * @param at Where the virtio header goes; the IP header follows it.
   * @param capacity Bytes free at `at`.
   * @returns Bytes read, header included; 0 when nothing waits.
   */
  read(at: number, capacity: number): number;
  /**
   * Writes one packet or super-packet.
   *
   * @returns 0, or the errno that cost this packet.
   */
  write(at: number, length: number): number;
  /**
   * Writes one super-packet that lies in parts, the virtio header at the beginning of the first.
   *
   * @param parts A list of `count` parts: offset from `origin` and length, in two 32-bit words each.
   * @returns 0, or the errno that cost this packet.
   */
  writeParts(origin: number, parts: number, count: number): number;
}

/** A UDP socket of one address family. */
export interface DatagramSocket {
  /** Filled by {@linkcode receive}: the sender, and which of our own addresses it wrote to. */
  readonly from: EndpointWords;
  /** Filled by {@linkcode receive}: bytes of each datagram but the last of the train. */
  readonly segment: number;
  /** Filled by {@linkcode receive}: the IP TOS or traffic class. */
  readonly tos: number;
  /** Whether what waits to leave takes more than half of the room for it. */
  readonly crowded: boolean;
  /** Filled by {@linkcode send} when it fails: how many datagrams were refused. */
  readonly refused: number;
  /**
   * Receives one datagram, or a train of them from one sender that the kernel coalesced (UDP_GRO).
   *
   * @returns Bytes received; 0 when nothing waits.
   */
  receive(at: number, capacity: number): number;
  /**
   * Sends one datagram, or with `segment` a train of them (UDP_SEGMENT).
   *
   * @param to Its source words are cleared when the kernel no longer accepts them.
   * @param segment Bytes of each datagram but the last; 0 for a single datagram.
   * @returns 0, or the negative errno that cost datagrams.
   */
  send(to: EndpointWords, at: number, length: number, segment: number, tos: number): number;
}

/** The sockets of a tunnel that is up; a machine without IPv6 has only the first. */
export interface Sockets {
  v4: DatagramSocket | null;
  v6: DatagramSocket | null;
}
