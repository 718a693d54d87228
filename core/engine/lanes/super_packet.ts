/**
 * Computes how many datagrams an inner packet becomes. The engine reserves their counters before a lane splits the
 * packet (`Segments` in wasm/src/offload.rs).
 *
 * @module
 */

import { GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, VIRTIO_HEADER } from "../../../wasm/packet.ts";
import { DATA_OVERHEAD } from "../../protocol/messages.ts";

const GSO_ECN = 0x80;
/** Packets are padded to a multiple of this (whitepaper §5.4.6). */
const PADDED_TO = 16;

/** The datagrams that a packet becomes. */
export interface Measure {
  /** The number of datagrams; 0 if the packet is invalid, or of a kind that lanes do not handle. */
  segments: number;
  /** Bytes of all datagrams, at most. */
  bytes: number;
  /** Bytes of the largest inner packet. */
  largest: number;
}

/**
 * Measures a packet.
 *
 * @param at Where its virtio header is.
 * @param length Bytes, the header included.
 * @param mtu The interface's MTU, which padding does not exceed.
 */
export function measure(bytes: Uint8Array, at: number, length: number, mtu: number, into: Measure): void {
  const packet = at + VIRTIO_HEADER, size = length - VIRTIO_HEADER;
  const type = bytes[at + 1]! & ~GSO_ECN;
  let segments = 0, largest = size;
  if (type === 0) {
    segments = size >= 20 ? 1 : 0;
  } else if (type === GSO_TCPV4 || type === GSO_TCPV6 || type === GSO_UDP_L4) {
    const start = bytes[at + 6]! | bytes[at + 7]! << 8, payload = bytes[at + 4]! | bytes[at + 5]! << 8;
    const headers = start +
      (type === GSO_UDP_L4 ? 8 : start + 12 < size ? bytes[packet + start + 12]! >>> 4 << 2 : size);
    if (payload > 0 && headers < size) {
      segments = Math.ceil((size - headers) / payload);
      largest = headers + Math.min(payload, size - headers);
    }
  }
  into.segments = segments;
  into.largest = largest;
  // How far a packet longer than the MTU is padded depends on its last fragment (`padding` in wasm/src/transport.rs).
  const padded = largest > mtu
    ? largest + PADDED_TO - 1
    : Math.min(mtu, Math.ceil(largest / PADDED_TO) * PADDED_TO);
  into.bytes = segments * (padded + DATA_OVERHEAD);
}
