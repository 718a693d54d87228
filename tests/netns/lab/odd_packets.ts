/**
 * Packets of TCP and UDP flows, some of which are unusual, and the comparison of the received packets.
 *
 * @module
 */

import { VIRTIO_HEADER } from "../../../wasm/packet.ts";

const TCP = 6, UDP = 17;

/** A generator of numbers from a seed (mulberry32): a failure can be run again. */
export function seeded(seed: number): (bound: number) => number {
  return (bound) => {
    seed = seed + 0x6d2b79f5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) % bound;
  };
}

/** The ones'-complement sum of 16-bit words, not inverted. */
function sum(bytes: Uint8Array, initial = 0): number {
  let total = initial;
  for (let i = 0; i < bytes.length; i += 2) total += bytes[i]! << 8 | (bytes[i + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

function viewOf(packet: Uint8Array): DataView {
  return new DataView(packet.buffer, packet.byteOffset, packet.length);
}

function headerOf(
  packet: Uint8Array,
): { version: number; header: number; protocol: number; addresses: Uint8Array } {
  const version = packet[0]! >> 4;
  return version === 4
    ? { version, header: (packet[0]! & 15) * 4, protocol: packet[9]!, addresses: packet.subarray(12, 20) }
    : { version, header: 40, protocol: packet[6]!, addresses: packet.subarray(8, 40) };
}

/** Writes the checksums of all headers that the packet has whole. */
function putChecksums(packet: Uint8Array): void {
  const { version, header, protocol, addresses } = headerOf(packet);
  const view = viewOf(packet);
  if (version === 4) {
    view.setUint16(10, 0);
    view.setUint16(10, ~sum(packet.subarray(0, header)) & 0xffff);
  }
  if (protocol !== TCP && protocol !== UDP) return;
  const field = header + (protocol === TCP ? 16 : 6);
  if (packet.length < field + 2) return;
  view.setUint16(field, 0);
  const pseudo = sum(addresses) + protocol + packet.length - header;
  const value = ~sum(packet.subarray(header), pseudo) & 0xffff;
  view.setUint16(field, value === 0 && protocol === UDP ? 0xffff : value);
}

/** Where flows run: addresses of both ends, in either family. */
export interface Ends {
  readonly from: { readonly 4: readonly number[]; readonly 6: readonly number[] };
  readonly to: { readonly 4: readonly number[]; readonly 6: readonly number[] };
}

/**
 * Makes the packets of many flows at once, in bursts and in turn.
 *
 * @param mtu The largest, in bytes.
 */
export function oddPackets(seed: number, count: number, mtu: number, ends: Ends): Uint8Array[] {
  const below = seeded(seed);
  const flows = Array.from({ length: 12 }, (_, number) => {
    const version = ([4, 6] as const)[below(2)]!;
    const protocol = below(3) === 0 ? UDP : TCP;
    const options = protocol === TCP ? [0, 12, 20][below(3)]! : 0;
    const headers = (version === 4 ? 20 : 40) + (protocol === TCP ? 20 + options : 8);
    return {
      version,
      protocol,
      options,
      // Half of them fill the MTU, so that datagrams outside have one length and arrive in one train.
      size: below(2) === 0 ? mtu - headers : 1 + below(mtu - headers),
      // Ports on which no program listens. The host's answers are discarded.
      port: 40_000 + number,
      sequence: 2 ** 32 - below(100_000),
      identification: below(65_536),
      acknowledgement: 1,
    };
  });
  const packets: Uint8Array[] = [];
  while (packets.length < count) {
    const flow = flows[below(flows.length)]!;
    const { version, protocol, options } = flow;
    for (let burst = 1 + below(below(3) === 0 ? 20 : 2); burst > 0; burst--) {
      const header = version === 4 ? 20 : 40;
      const transport = protocol === TCP ? 20 + options : 8;
      const payload = below(15) === 0 ? below(flow.size + 1) : flow.size;
      let packet = new Uint8Array(header + transport + payload);
      for (let i = header; i < packet.length; i++) packet[i] = below(256);
      const view = viewOf(packet);
      if (version === 4) {
        packet.set([0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0, ...ends.from[4], ...ends.to[4]]);
        view.setUint16(2, packet.length);
        view.setUint16(4, flow.identification++ & 0xffff);
      } else {
        packet.set([0x60, 0, 0, 0, 0, 0, protocol, 64, ...ends.from[6], ...ends.to[6]]);
        view.setUint16(4, packet.length - 40);
      }
      view.setUint16(header, flow.port);
      view.setUint16(header + 2, 9);
      if (protocol === TCP) {
        view.setUint32(header + 4, flow.sequence >>> 0);
        view.setUint32(header + 8, flow.acknowledgement);
        packet.set([transport / 4 << 4, below(12) === 0 ? 0x18 : 0x10, 2, 0], header + 12);
        view.setUint16(header + 18, 0);
        packet.fill(1, header + 20, header + transport);
        flow.sequence = (flow.sequence + payload) % 2 ** 32;
      } else {
        view.setUint16(header + 4, transport + payload);
      }
      putChecksums(packet);
      if (below(10) === 0) packet = distorted(packet, below, flow);
      packets.push(packet);
      if (below(40) === 0) packets.push(packets[Math.max(0, packets.length - 1 - below(4))]!);
      if (below(40) === 0 && packets.length > 3) {
        const [a, b] = [packets.length - 1, packets.length - 2 - below(2)];
        [packets[a], packets[b]] = [packets[b]!, packets[a]!];
      }
    }
  }
  return packets;
}

/** Changes something. The length of the packet stays the same. */
function distorted(
  original: Uint8Array<ArrayBuffer>,
  below: (bound: number) => number,
  flow: { acknowledgement: number },
): Uint8Array<ArrayBuffer> {
  let packet = original;
  const { version, header, protocol } = headerOf(packet);
  const view = viewOf(packet);
  switch (below(9)) {
    // TCP's flags, UDP's checksum field.
    case 0:
      packet[header + (protocol === TCP ? 13 : 6)]! ^= 1 << below(8);
      break;
    case 1:
      packet[1]! ^= 0x10;
      break;
    case 2:
      packet[version === 4 ? 8 : 7]! -= 1 + below(3);
      break;
    case 3:
      flow.acknowledgement++;
      break;
    // A fragment, an extension header (destination options that say nothing).
    case 4:
      if (version === 4) view.setUint16(6, [0x2000, 0x2005, 7][below(3)]!);
      else {
        packet = Uint8Array.from([
          ...packet.subarray(0, 40),
          protocol,
          0,
          1,
          4,
          0,
          0,
          0,
          0,
          ...packet.subarray(40, -8),
        ]);
        packet[6] = 60;
        viewOf(packet).setUint16(4, packet.length - 40);
      }
      break;
    // IPv4 options; another flow label.
    case 5:
      if (version === 4) {
        packet = Uint8Array.from([...packet.subarray(0, 20), 1, 1, 1, 0, ...packet.subarray(20, -4)]);
        packet[0] = 0x46;
        viewOf(packet).setUint16(2, packet.length);
      } else packet[3] = below(256);
      break;
    // A window, an identification.
    case 6:
      if (protocol === TCP) view.setUint16(header + 14, below(65_536));
      else if (version === 4) view.setUint16(4, below(65_536));
      break;
    // Wrong checksums stay wrong.
    case 7:
      packet[header + below(packet.length - header)]! ^= 1 << below(8);
      return packet;
    default:
      if (version === 4) packet[10]! ^= 1;
      return packet;
  }
  putChecksums(packet);
  return packet;
}

/** Writes packets to bytes, each after its length. */
export function toFile(packets: readonly Uint8Array[]): Uint8Array {
  const file = new Uint8Array(packets.reduce((size, packet) => size + 4 + packet.length, 0));
  let at = 0;
  for (const packet of packets) {
    new DataView(file.buffer).setUint32(at, packet.length, true);
    file.set(packet, at + 4);
    at += 4 + packet.length;
  }
  return file;
}

/** Reads the packets again. */
export function fromFile(file: Uint8Array): Uint8Array[] {
  const packets: Uint8Array[] = [];
  for (let at = 0; at + 4 <= file.length;) {
    const length = viewOf(file).getUint32(at, true);
    packets.push(file.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return packets;
}

/** Splits a super-packet, which follows its virtio header, into its packets. */
export function cut(withHeader: Uint8Array): Uint8Array[] {
  const info = viewOf(withHeader);
  const packet = withHeader.slice(VIRTIO_HEADER);
  if (info.getUint8(1) === 0) {
    if ((info.getUint8(0) & 1) !== 0) putChecksums(packet);
    return [packet];
  }
  const size = info.getUint16(4, true);
  const { version, header, protocol } = headerOf(packet);
  const headers = header + (protocol === TCP ? (packet[header + 12]! >> 4) * 4 : 8);
  const segments: Uint8Array[] = [];
  for (let from = headers, i = 0; from < packet.length; from += size, i++) {
    const payload = packet.subarray(from, from + size);
    const segment = new Uint8Array(headers + payload.length);
    segment.set(packet.subarray(0, headers));
    segment.set(payload, headers);
    const view = viewOf(segment);
    if (version === 4) {
      view.setUint16(2, segment.length);
      view.setUint16(4, view.getUint16(4) + i & 0xffff);
    } else view.setUint16(4, segment.length - 40);
    if (protocol === UDP) view.setUint16(header + 4, segment.length - header);
    else {
      view.setUint32(header + 4, view.getUint32(header + 4) + i * size >>> 0);
      if (from + size < packet.length) segment[header + 13]! &= ~0x09;
    }
    putChecksums(segment);
    segments.push(segment);
  }
  return segments;
}

/**
 * Where the packets of two hosts differ: packets of a flow that differ, are missing or out of order.
 *
 * @returns A line for each flow with its first difference; none if all is the same.
 */
export function differences(one: readonly Uint8Array[], other: readonly Uint8Array[]): string[] {
  const [left, right] = [byFlow(one), byFlow(other)];
  return [...new Set([...left.keys(), ...right.keys()])].flatMap((flow) => {
    const [a, b] = [left.get(flow) ?? [], right.get(flow) ?? []];
    const at = Array.from({ length: Math.max(a.length, b.length) }).findIndex((_, i) => a[i] !== b[i]);
    const show = (packet = "nothing") => packet.slice(0, 160);
    return at < 0 ? [] : [`flow ${flow}, packet ${at} of ${a.length}: ${show(a[at])} / ${show(b[at])}`];
  });
}

/** The flow of a packet. A packet without ports belongs to a flow by its addresses and protocol. */
export function flowOf(packet: Uint8Array): string {
  const { version, header, protocol, addresses } = headerOf(packet);
  const fragment = version === 4 && (viewOf(packet).getUint16(6) & 0x3fff) !== 0;
  const known = (protocol === TCP || protocol === UDP) && !fragment && packet.length >= header + 4;
  const ports = known ? packet.subarray(header, header + 4).toHex() : "";
  return `${addresses.toHex()} ${protocol} ${ports}`;
}

function byFlow(packets: readonly Uint8Array[]): Map<string, string[]> {
  const flows = new Map<string, string[]>();
  for (const packet of packets) {
    const flow = flowOf(packet);
    const list = flows.get(flow);
    if (list) list.push(comparable(packet).toHex());
    else flows.set(flow, [comparable(packet).toHex()]);
  }
  return flows;
}

/** The identification of a packet that must not be fragmented has no meaning (RFC 6864), and joining may change it. */
export function comparable(packet: Uint8Array): Uint8Array {
  const { version, header } = headerOf(packet);
  if (version !== 4 || (packet[6]! & 0x40) === 0 || sum(packet.subarray(0, header)) !== 0xffff) return packet;
  const copy = packet.slice();
  copy.fill(0, 4, 6);
  copy.fill(0, 10, 12);
  return copy;
}
