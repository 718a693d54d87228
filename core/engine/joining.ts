/**
 * Whether the TUN device accepts joined packets. This is tested at the start and updated at every refusal. Linux
 * 6.1.103, 6.6.44 and 6.10.3 refuse the format that they require (commit e269d79c7d35, fixed by 89add40066f9).
 *
 * @module
 */

import { JOIN_TCP, JOIN_UDP } from "../../wasm/instance.ts";
import { GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, VIRTIO_HEADER } from "../../wasm/packet.ts";
import type { Feature } from "../config/features.ts";
import { Errno } from "../uapi/errno.ts";
import type { PacketPath } from "./path.ts";
import type { PacketDevice } from "./doors.ts";

/** Payload bytes of each of the two packets that a probe is made of. */
const PROBE_SIZE = 16;

const NAMES = [[JOIN_TCP, "tun-tcp", "TCP"], [JOIN_UDP, "tun-udp", "UDP"]] as const satisfies readonly (
  readonly [number, Feature, string]
)[];

/** `JOIN_TCP` or `JOIN_UDP`, of a joined packet whose virtio header is at `at`. */
export function joinedProtocol(bytes: Uint8Array, at: number): number {
  return bytes[at + 1] === GSO_UDP_L4 ? JOIN_UDP : JOIN_TCP;
}

/** Stops joining packets of a protocol. Super-packets from the device are still split. */
export function stopJoining(path: PacketPath, protocol: number): void {
  if ((path.join & protocol) === 0) return;
  path.join &= ~protocol;
  for (const [flag, feature, name] of NAMES) {
    if (flag === protocol) {
      path.features.retreat(
        feature,
        `the kernel refused joined ${name} packets (EINVAL); they go singly now`,
      );
    }
  }
}

/**
 * A lane wrote packets one by one because the device refused them joined. Does the same as the end of `writeJoined` in
 * inbound.ts.
 */
export function separatedInLane(path: PacketPath, protocols: number): void {
  for (const [protocol] of NAMES) {
    if ((protocols & protocol & ~path.joined) !== 0) stopJoining(path, protocol);
  }
}

/**
 * Writes a joined packet of each kind while the interface is down, and stops joining the kinds that are refused with
 * EINVAL. The device checks a packet before it checks whether it is up, so a valid packet fails with EIO and goes
 * nowhere.
 */
export function probeJoining(path: PacketPath): void {
  for (const [protocol] of NAMES) {
    for (const version of [4, 6] as const) {
      if ((path.join & protocol) === 0) continue;
      if (writeProbe(path, path.tun, version, protocol) === Errno.EINVAL) stopJoining(path, protocol);
    }
  }
}

/** @returns 0 or the errno of a write of two packets of 16 bytes, joined, in two parts. */
function writeProbe(path: PacketPath, tun: PacketDevice, version: 4 | 6, protocol: number): number {
  const { bytes, view } = path.wasm.memory;
  const at = path.inner;
  const ip = version === 4 ? 20 : 40;
  const tcp = protocol === JOIN_TCP;
  const headers = ip + (tcp ? 20 : 8);
  const length = headers + 2 * PROBE_SIZE;
  bytes.fill(0, at, at + VIRTIO_HEADER + length);
  bytes[at] = 1;
  bytes[at + 1] = tcp ? (version === 4 ? GSO_TCPV4 : GSO_TCPV6) : GSO_UDP_L4;
  [headers, PROBE_SIZE, ip, tcp ? 16 : 6].forEach((value, i) => view.setUint16(at + 2 + 2 * i, value, true));
  const packet = at + VIRTIO_HEADER;
  // The addresses belong to no host (RFC 5737, RFC 3849), and the hop limit is 0.
  if (version === 4) {
    bytes.set([0x45, 0, 0, length, 0, 0, 0x40, 0, 0, tcp ? 6 : 17], packet);
    bytes.set([192, 0, 2, 1, 192, 0, 2, 2], packet + 12);
  } else {
    bytes.set([0x60, 0, 0, 0, 0, length - ip, tcp ? 6 : 17], packet);
    for (const [offset, last] of [[8, 1], [24, 2]] as const) {
      bytes.set([0x20, 0x01, 0x0d, 0xb8], packet + offset);
      bytes[packet + offset + 15] = last;
    }
  }
  if (tcp) bytes.set([0x50, 0x10], packet + ip + 12);
  else view.setUint16(packet + ip + 4, length - ip);
  const parts = path.message;
  const first = VIRTIO_HEADER + headers + PROBE_SIZE;
  [0, first, first, PROBE_SIZE].forEach((value, i) => view.setUint32(parts + 4 * i, value, true));
  return tun.writeParts(at, parts, 2);
}
