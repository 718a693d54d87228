/**
 * Reads and writes IP packets other than TCP in place: headers of IPv4 and IPv6, UDP, and ICMP.
 *
 * A packet to be sent follows a 10-byte `virtio_net_hdr` (linux/virtio_net.h), as packets from a TUN device do.
 *
 * @module
 */

import type { Family } from "../config/address.ts";
import { VIRTIO_HEADER } from "../../wasm/packet.ts";

export { VIRTIO_HEADER } from "../../wasm/packet.ts";
export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const PROTOCOL_ICMPV6 = 58;
export const UDP_HEADER = 8;
export const ICMP_HEADER = 8;

const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const HOP_LIMIT = 64;
/** More fragments, and the fragment's offset. */
const FRAGMENT = 0x3fff;
const DONT_FRAGMENT = 0x4000;

/** One IP packet. The addresses are views of it. */
export interface IpPacket {
  readonly family: Family;
  readonly protocol: number;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** What follows the IP header. */
  readonly payload: Uint8Array;
}

/** An address and a port; 4 or 16 bytes of address. */
export interface Endpoint {
  readonly address: Uint8Array;
  readonly port: number;
}

/**
 * Reads a packet.
 *
 * @param bytes The packet from its IP header. Bytes after the packet are ignored.
 * @returns Null if the packet is incomplete, is a fragment, or has extension headers of IPv6.
 */
export function parseIp(bytes: Uint8Array): IpPacket | null {
  const version = bytes.length > 0 ? bytes[0]! >>> 4 : 0;
  if (version === 4 && bytes.length >= IPV4_HEADER) {
    const header = (bytes[0]! & 15) * 4;
    const length = word(bytes, 2);
    if (header < IPV4_HEADER || length < header || length > bytes.length) return null;
    if (word(bytes, 6) & FRAGMENT) return null;
    return {
      family: 4,
      protocol: bytes[9]!,
      source: bytes.subarray(12, 16),
      destination: bytes.subarray(16, 20),
      payload: bytes.subarray(header, length),
    };
  }
  if (version === 6 && bytes.length >= IPV6_HEADER) {
    const length = IPV6_HEADER + word(bytes, 4);
    if (length > bytes.length) return null;
    return {
      family: 6,
      protocol: bytes[6]!,
      source: bytes.subarray(8, 24),
      destination: bytes.subarray(24, 40),
      payload: bytes.subarray(IPV6_HEADER, length),
    };
  }
  return null;
}

/** A UDP datagram in a packet. @returns Null if the packet is not UDP or its checksum is wrong. */
export function parseUdp(packet: IpPacket): { from: number; to: number; data: Uint8Array } | null {
  const { payload } = packet;
  if (packet.protocol !== PROTOCOL_UDP || payload.length < UDP_HEADER) return null;
  const length = word(payload, 4);
  if (length < UDP_HEADER || length > payload.length) return null;
  const datagram = payload.subarray(0, length);
  const checksum = word(payload, 6);
  // Zero means "no checksum" over IPv4 and is forbidden over IPv6 (RFC 8200 §8.1).
  if (checksum === 0 ? packet.family === 6 : transportSum(packet, datagram) !== 0xffff) return null;
  return { from: word(payload, 0), to: word(payload, 2), data: datagram.subarray(UDP_HEADER) };
}

/** Bytes of a UDP datagram's packet with its virtio header. */
export function udpLength(to: Endpoint, data: number): number {
  return VIRTIO_HEADER + ipHeader(to.address) + UDP_HEADER + data;
}

/**
 * Writes a UDP datagram.
 *
 * @param out {@linkcode udpLength} bytes.
 */
export function writeUdp(out: Uint8Array, from: Endpoint, to: Endpoint, data: Uint8Array): void {
  const udp = writeIp(out, from.address, to.address, PROTOCOL_UDP, UDP_HEADER + data.length);
  putWord(udp, 0, from.port);
  putWord(udp, 2, to.port);
  putWord(udp, 4, udp.length);
  putWord(udp, 6, 0);
  udp.set(data, UDP_HEADER);
  const sum = ~transportSum(
    { protocol: PROTOCOL_UDP, source: from.address, destination: to.address },
    udp,
  ) & 0xffff;
  putWord(udp, 6, sum || 0xffff);
}

/** Bytes of an ICMP message's packet with its virtio header. */
export function icmpLength(to: Uint8Array, message: number): number {
  return VIRTIO_HEADER + ipHeader(to) + message;
}

/** Writes an ICMP message; its checksum field is filled in. @param out {@linkcode icmpLength} bytes. */
export function writeIcmp(out: Uint8Array, from: Uint8Array, to: Uint8Array, message: Uint8Array): void {
  const protocol = to.length === 4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6;
  const icmp = writeIp(out, from, to, protocol, message.length);
  icmp.set(message);
  putWord(icmp, 2, 0);
  const sum = to.length === 4
    ? fold(add(0, icmp))
    : transportSum({ protocol, source: from, destination: to }, icmp);
  putWord(icmp, 2, ~sum & 0xffff);
}

/** Whether the checksum of an ICMP message is right. */
export function icmpIsSound(packet: IpPacket): boolean {
  const sum = packet.family === 4 ? fold(add(0, packet.payload)) : transportSum(packet, packet.payload);
  return sum === 0xffff;
}

/** Writes an IP header after an empty virtio header. @returns The bytes after it. */
function writeIp(
  out: Uint8Array,
  from: Uint8Array,
  to: Uint8Array,
  protocol: number,
  length: number,
): Uint8Array {
  const header = ipHeader(to);
  out.fill(0, 0, VIRTIO_HEADER + header);
  const ip = out.subarray(VIRTIO_HEADER, VIRTIO_HEADER + header + length);
  if (header === IPV4_HEADER) {
    ip[0] = 0x45;
    putWord(ip, 2, ip.length);
    putWord(ip, 6, DONT_FRAGMENT);
    ip[8] = HOP_LIMIT;
    ip[9] = protocol;
    ip.set(from, 12);
    ip.set(to, 16);
    putWord(ip, 10, ~fold(add(0, ip.subarray(0, header))) & 0xffff);
  } else {
    ip[0] = 0x60;
    putWord(ip, 4, length);
    ip[6] = protocol;
    ip[7] = HOP_LIMIT;
    ip.set(from, 8);
    ip.set(to, 24);
  }
  return ip.subarray(header);
}

function ipHeader(address: Uint8Array): number {
  return address.length === 4 ? IPV4_HEADER : IPV6_HEADER;
}

/** The sum of a transport header, its payload and the pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1). */
function transportSum(
  { protocol, source, destination }: Pick<IpPacket, "protocol" | "source" | "destination">,
  bytes: Uint8Array,
): number {
  return fold(add(add(add(protocol + bytes.length, source), destination), bytes));
}

/** Adds big-endian words (RFC 1071); a last odd byte counts as the high one. Exact up to 2^37 bytes. */
function add(sum: number, bytes: Uint8Array): number {
  const even = bytes.length & ~1;
  for (let i = 0; i < even; i += 2) sum += bytes[i]! << 8 | bytes[i + 1]!;
  return bytes.length > even ? sum + (bytes[even]! << 8) : sum;
}

function fold(sum: number): number {
  while (sum > 0xffff) sum = sum % 0x10000 + Math.floor(sum / 0x10000);
  return sum;
}

function word(bytes: Uint8Array, at: number): number {
  return bytes[at]! << 8 | bytes[at + 1]!;
}

function putWord(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}
