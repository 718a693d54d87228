/**
 * Super-packets of TCP and UDP flows, as a host with segmentation offload hands them to an interface.
 *
 * @module
 */

import { GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, VIRTIO_HEADER } from "../../../wasm/packet.ts";
import { type Ends, oddPackets, seeded } from "./odd_packets.ts";

const TCP = 6, UDP = 17;
const NEEDS_CHECKSUM = 1;
/** Most segments of a UDP super-packet (UDP_MAX_SEGMENTS, linux/udp.h). */
const MAX_UDP_SEGMENTS = 128;
const FLOWS = 6;
/** Bytes of an IP packet at most, of which the virtio header is no part. */
const LONGEST = 65_535;

/**
 * Makes super-packets in runs, and odd packets in runs between them, each behind its virtio header.
 *
 * @param mtu The largest packet that they are cut into, in bytes.
 */
export function mixedPackets(
  seed: number,
  count: number,
  mtu: number,
  ends: Ends,
): Uint8Array<ArrayBuffer>[] {
  const below = seeded(seed);
  const flows = Array.from({ length: FLOWS }, (_, number) => new SuperFlow(number, below, mtu, ends));
  const odd = oddPackets(seed, count, mtu, ends);
  const packets: Uint8Array<ArrayBuffer>[] = [];
  while (packets.length < count) {
    const flow = flows[below(FLOWS)]!;
    for (let run = below(12); run > 0; run--) packets.push(flow.next());
    for (let run = below(3) === 0 ? 0 : below(24); run > 0 && odd.length > 0; run--) {
      const packet = odd.shift()!;
      const withHeader = new Uint8Array(VIRTIO_HEADER + packet.length);
      withHeader.set(packet, VIRTIO_HEADER);
      packets.push(withHeader);
    }
  }
  return packets;
}

/** A flow of which each packet goes on where the last ended. */
class SuperFlow {
  readonly #version: 4 | 6;
  readonly #protocol: number;
  readonly #size: number;
  #sequence: number;
  #identification: number;

  constructor(
    readonly number: number,
    readonly below: (bound: number) => number,
    mtu: number,
    readonly ends: Ends,
  ) {
    this.#version = number % 2 === 0 ? 4 : 6;
    this.#protocol = number % 3 === 2 ? UDP : TCP;
    const largest = mtu - this.#headers;
    this.#size = below(3) === 0 ? 200 + below(largest - 200) : largest;
    this.#sequence = 2 ** 32 - below(1_000_000);
    this.#identification = below(65_536);
  }

  get #headers(): number {
    return (this.#version === 4 ? 20 : 40) + (this.#protocol === TCP ? 20 : 8);
  }

  next(): Uint8Array<ArrayBuffer> {
    const { below, number, ends } = this;
    const size = this.#size, headers = this.#headers;
    const tcp = this.#protocol === TCP;
    const longest = Math.min(LONGEST - headers, tcp ? LONGEST : MAX_UDP_SEGMENTS * size);
    const payload = below(3) === 0 ? longest : 1 + below(longest);
    const segments = Math.ceil(payload / size);
    const packet = new Uint8Array(VIRTIO_HEADER + headers + payload);
    const view = new DataView(packet.buffer), ip = VIRTIO_HEADER;
    const header = this.#version === 4 ? 20 : 40, transport = ip + header;
    for (let at = ip + headers; at < packet.length; at += 4) {
      view.setUint32(Math.min(at, packet.length - 4), below(2 ** 32));
    }
    packet[0] = NEEDS_CHECKSUM;
    if (segments > 1) packet[1] = tcp ? (header === 20 ? GSO_TCPV4 : GSO_TCPV6) : GSO_UDP_L4;
    view.setUint16(2, headers, true);
    view.setUint16(4, segments > 1 ? size : 0, true);
    view.setUint16(6, header, true);
    view.setUint16(8, tcp ? 16 : 6, true);
    if (this.#version === 4) {
      packet.set(
        [0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, this.#protocol, 0, 0, ...ends.from[4], ...ends.to[4]],
        ip,
      );
      view.setUint16(ip + 2, headers + payload);
      view.setUint16(ip + 4, this.#identification & 0xffff);
      view.setUint16(ip + 10, ~sum(packet.subarray(ip, transport)) & 0xffff);
    } else {
      packet.set([0x60, 0, 0, 0, 0, 0, this.#protocol, 64, ...ends.from[6], ...ends.to[6]], ip);
      view.setUint16(ip + 4, headers - header + payload);
    }
    view.setUint16(transport, 41_000 + number);
    view.setUint16(transport + 2, 9);
    if (tcp) {
      view.setUint32(transport + 4, this.#sequence >>> 0);
      view.setUint32(transport + 8, 1);
      packet.set([0x50, 0x10, 2, 0], transport + 12);
    } else {
      view.setUint16(transport + 4, headers - header + payload);
    }
    const addresses = packet.subarray(ip + (header === 20 ? 12 : 8), transport);
    // The checksum of what is not in the packet; the kernel goes on from there.
    const pseudo = sum(addresses, this.#protocol + headers - header + payload);
    view.setUint16(transport + (tcp ? 16 : 6), pseudo);
    this.#sequence = (this.#sequence + payload) % 2 ** 32;
    this.#identification += segments;
    return packet;
  }
}

function sum(bytes: Uint8Array, initial = 0): number {
  let total = initial;
  for (let i = 0; i < bytes.length; i += 2) total += bytes[i]! << 8 | bytes[i + 1]!;
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}
