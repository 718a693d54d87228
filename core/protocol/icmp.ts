/**
 * ICMP errors for packets that cannot be sent through the tunnel, so that a program need not wait for a timeout: no peer has
 * the destination in its allowed IPs (the kernel's device.c, wg_xmit), or the packet is too big for one UDP datagram.
 *
 * @module
 */

import type { Now } from "./clock.ts";

/** The largest error over IPv4 (RFC 1812 §4.3.2.3). */
const MAX_ICMP4 = 576;
/** The largest error: IPv6's minimum MTU (RFC 4443 §2.4(c)). */
export const MAX_ICMP = 1_280;

const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const ICMP_HEADER = 8;
const HOP_LIMIT = 64;
const PROTOCOL_ICMP = 1;
const PROTOCOL_ICMPV6 = 58;

/** The rate limit: errors per second, and how many at once (the kernel's icmp_msgs_per_sec and icmp_msgs_burst). */
const PER_SECOND = 1_000;
const BURST = 50;

/** An error's type and code, and the MTU that it reports; 0 for none. */
interface IcmpError {
  readonly type: number;
  readonly code: number;
  readonly mtu: number;
}

/** ICMP errors at a limited rate. */
export class IcmpErrors {
  #tokens = BURST;
  #filledAt = 0;

  /**
   * Like {@linkcode icmpError}, but returns 0 if too many errors were made recently.
   *
   * @param out At least {@linkcode MAX_ICMP} bytes.
   */
  answer(packet: Uint8Array, out: Uint8Array, mtu: number, now: Now): number {
    this.#tokens = Math.min(BURST, this.#tokens + (now.boot - this.#filledAt) / 1_000 * PER_SECOND);
    this.#filledAt = now.boot;
    if (this.#tokens < 1) return 0;
    const length = icmpError(packet, out, mtu);
    if (length > 0) this.#tokens--;
    return length;
  }
}

/**
 * Makes the ICMP error for a packet: "packet too big", or without an MTU "host unreachable". Its source is the packet's
 * destination. The host gets the error out of its own tunnel, and would drop one of our own addresses as martian.
 *
 * IPv4 senders that allow fragments also get "too big". A router would fragment their packets, but we do not. Linux
 * then fragments them itself.
 *
 * @param packet An IPv4 or IPv6 packet; anything else is ignored.
 * @param out At least {@linkcode MAX_ICMP} bytes.
 * @param mtu Bytes of the largest packet that can be sent there; 0 if none can.
 * @returns Bytes written; 0 if the packet must not be answered: it is an ICMP error, a later fragment, or from or to
 * no single host (RFC 1122 §3.2.2, RFC 4443 §2.4(e)).
 */
export function icmpError(packet: Uint8Array, out: Uint8Array, mtu = 0): number {
  if (packet.length < IPV4_HEADER) return 0;
  if (packet[0]! >>> 4 === 4) {
    // Destination host unreachable, and fragmentation needed (RFC 792).
    return icmpError4(packet, out, mtu === 0 ? { type: 3, code: 1, mtu } : { type: 3, code: 4, mtu });
  }
  if (packet[0]! >>> 4 !== 6 || packet.length < IPV6_HEADER) return 0;
  // Address unreachable, and packet too big (RFC 4443 §3.1, §3.2).
  return icmpError6(packet, out, mtu === 0 ? { type: 1, code: 3, mtu } : { type: 2, code: 0, mtu });
}

function icmpError4(packet: Uint8Array, out: Uint8Array, { type, code, mtu }: IcmpError): number {
  const header = (packet[0]! & 15) * 4;
  if (header < IPV4_HEADER || header > packet.length) return 0;
  const fragmentOffset = (packet[6]! & 0x1f) << 8 | packet[7]!;
  if (fragmentOffset !== 0) return 0;
  if (!isHost4(packet, 12) || !isHost4(packet, 16)) return 0;
  if (packet[9] === PROTOCOL_ICMP && !isQuery4(packet[header])) return 0;

  const quoted = Math.min(packet.length, MAX_ICMP4 - IPV4_HEADER - ICMP_HEADER);
  const length = IPV4_HEADER + ICMP_HEADER + quoted;
  const view = new DataView(out.buffer, out.byteOffset, length);
  out.fill(0, 0, IPV4_HEADER + ICMP_HEADER);
  view.setUint8(0, 0x45);
  // Internetwork control, as the kernel marks ICMP errors (RFC 1812 §4.3.2.5).
  view.setUint8(1, 0xc0);
  view.setUint16(2, length);
  view.setUint8(8, HOP_LIMIT);
  view.setUint8(9, PROTOCOL_ICMP);
  out.set(packet.subarray(16, 20), 12);
  out.set(packet.subarray(12, 16), 16);
  view.setUint16(10, checksum(view, 0, IPV4_HEADER, 0));
  view.setUint8(IPV4_HEADER, type);
  view.setUint8(IPV4_HEADER + 1, code);
  // In the lower half of the word that other errors leave unused (RFC 1191 §4).
  view.setUint16(IPV4_HEADER + 6, mtu);
  out.set(packet.subarray(0, quoted), IPV4_HEADER + ICMP_HEADER);
  view.setUint16(IPV4_HEADER + 2, checksum(view, IPV4_HEADER, length, 0));
  return length;
}

function icmpError6(packet: Uint8Array, out: Uint8Array, { type, code, mtu }: IcmpError): number {
  if (!isHost6(packet, 8) || !isHost6(packet, 24) || !mayAnswer6(packet)) return 0;

  const quoted = Math.min(packet.length, MAX_ICMP - IPV6_HEADER - ICMP_HEADER);
  const length = IPV6_HEADER + ICMP_HEADER + quoted;
  const view = new DataView(out.buffer, out.byteOffset, length);
  out.fill(0, 0, IPV6_HEADER + ICMP_HEADER);
  view.setUint8(0, 0x60);
  view.setUint16(4, ICMP_HEADER + quoted);
  view.setUint8(6, PROTOCOL_ICMPV6);
  view.setUint8(7, HOP_LIMIT);
  out.set(packet.subarray(24, 40), 8);
  out.set(packet.subarray(8, 24), 24);
  view.setUint8(IPV6_HEADER, type);
  view.setUint8(IPV6_HEADER + 1, code);
  view.setUint32(IPV6_HEADER + 4, mtu);
  out.set(packet.subarray(0, quoted), IPV6_HEADER + ICMP_HEADER);
  // The pseudo-header is both addresses, the length and the protocol (RFC 8200 §8.1).
  view.setUint16(IPV6_HEADER + 2, checksum(view, 8, length, ICMP_HEADER + quoted + PROTOCOL_ICMPV6));
  return length;
}

/**
 * Whether the packet's transport protocol is known and complete from its start, and it is not an ICMPv6 error or
 * redirect.
 */
function mayAnswer6(packet: Uint8Array): boolean {
  let next = packet[6]!;
  let at = IPV6_HEADER;
  for (;;) {
    switch (next) {
      case 0: // hop-by-hop options
      case 43: // routing
      case 60: // destination options
        if (at + 8 > packet.length) return false;
        next = packet[at]!;
        at += 8 + packet[at + 1]! * 8;
        break;
      case 44: // fragment
        if (at + 8 > packet.length || (packet[at + 2]! << 8 | packet[at + 3]! & 0xf8) !== 0) return false;
        next = packet[at]!;
        at += 8;
        break;
      case PROTOCOL_ICMPV6:
        // Types below 128 are errors, 137 is redirect.
        return at < packet.length && packet[at]! >= 128 && packet[at] !== 137;
      default:
        return true;
    }
  }
}

/** Not "this network", loopback, multicast, reserved or broadcast (RFC 1122 §3.2.1.3). */
function isHost4(packet: Uint8Array, at: number): boolean {
  const first = packet[at]!;
  return first !== 0 && first !== 127 && first < 224;
}

/** Not unspecified, loopback or multicast. */
function isHost6(packet: Uint8Array, at: number): boolean {
  if (packet[at] === 0xff) return false;
  for (let i = 0; i < 15; i++) if (packet[at + i] !== 0) return true;
  return packet[at + 15]! > 1;
}

/** Echo, timestamp, information and address mask, with their replies. These are not errors (RFC 792, RFC 950). */
function isQuery4(type: number | undefined): boolean {
  return type === 0 || type === 8 || type !== undefined && type >= 13 && type <= 18;
}

/** The Internet checksum (RFC 1071) of `view` from `start` to `end` on top of `sum`. */
function checksum(view: DataView, start: number, end: number, sum: number): number {
  let at = start;
  for (; at + 1 < end; at += 2) sum += view.getUint16(at);
  if (at < end) sum += view.getUint8(at) << 8;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
