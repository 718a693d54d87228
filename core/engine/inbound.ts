/**
 * The inbound packet path, from UDP to TUN: receive, group, decrypt, check the source, write, update timers.
 *
 * @module
 */

import { CONGESTED } from "../../wasm/instance.ts";
import { VIRTIO_HEADER } from "../../wasm/packet.ts";
import type { Now } from "../protocol/clock.ts";
import type { EndpointWords } from "../protocol/endpoint.ts";
import type { Keypair } from "../protocol/keypair.ts";
import { MESSAGE_DATA } from "../protocol/messages.ts";
import { Errno } from "../uapi/errno.ts";
import type { Handshakes } from "./handshakes.ts";
import { joinedProtocol, stopJoining } from "./joining.ts";
import { IN } from "./lanes/board.ts";
import { BYTES_PER_TURN, OUTER_CAPACITY, type PacketPath } from "./path.ts";
import type { DatagramSocket } from "./doors.ts";

/** Trains received per turn and socket, so that a flood at one cannot starve the rest. */
const RECEIVES_PER_TURN = 64;
/** Congestion experienced, in the two ECN bits of TOS (RFC 3168 §5). */
const ECN_CE = 3;

/** Receives datagrams from a socket. Handshake messages are queued; data is decrypted and written to the TUN device. */
export function socketReadable(
  path: PacketPath,
  socket: DatagramSocket,
  handshakes: Handshakes,
  now: Now,
): void {
  const opening = path.lanes?.opening;
  let bytes = 0;
  for (let receives = 0; receives < RECEIVES_PER_TURN && bytes < BYTES_PER_TURN; receives++) {
    const place = opening ? opening.place() : path.outer;
    if (place === null) {
      opening!.lanes.pause(socket.fd!);
      break;
    }
    const length = socket.receive(place, OUTER_CAPACITY);
    if (length === 0) break;
    bytes += length;
    path.lanes?.noteTrain(IN, length);
    if (opening && !opening.take(socket, length)) continue;
    receiveTrain(path, socket, handshakes, length, now);
  }
  opening?.post();
  path.lanes?.allRead(IN);
}

/** Divides a train of datagrams into runs with the same receiver index. */
function receiveTrain(
  path: PacketPath,
  socket: DatagramSocket,
  handshakes: Handshakes,
  length: number,
  now: Now,
): void {
  const stride = socket.segment, flags = openFlags(path, socket);
  const end = path.outer + length;
  for (let at = path.outer; at < end;) {
    // Read again for each run, because the previous run may have grown the memory.
    const { bytes, view } = path.wasm.memory;
    const size = Math.min(stride, end - at);
    // The three reserved bytes must be zero, so type and reserved bytes are compared as one number, as in the kernel.
    const type = size >= 8 ? view.getUint32(at, true) : 0;
    if (type !== MESSAGE_DATA) {
      handshakes.enqueue(bytes.subarray(at, at + size), socket.from, now);
      at += size;
      continue;
    }
    const index = view.getUint32(at + 4, true);
    let next = at + size;
    while (
      next + 8 <= end && view.getUint32(next, true) === MESSAGE_DATA &&
      view.getUint32(next + 4, true) === index
    ) next = Math.min(next + stride, end);
    const keypair = path.device.sessions.keypair(index, now);
    if (keypair === null) path.drops.unknownIndex += Math.ceil((next - at) / stride);
    else openRun(path, keypair, at, next - at, stride, flags, socket.from, now);
    at = next;
  }
}

/** The arguments of `Wasm.openBatch` for the received train. */
export function openFlags({ join }: PacketPath, { tos }: DatagramSocket): number {
  return (tos & ECN_CE) === ECN_CE ? join | CONGESTED : join;
}

/** Decrypts a run of datagrams of one keypair and writes their packets to the TUN device. */
export function openRun(
  path: PacketPath,
  keypair: Keypair,
  from: number,
  length: number,
  stride: number,
  flags: number,
  sender: EndpointWords,
  now: Now,
): void {
  const { device, wasm, drops } = path;
  const packets = path.lanes === null
    ? wasm.openBatch(keypair.slot, from, length, stride, flags)
    : path.lanes.openHere(wasm, keypair, from, length, stride, flags);
  const { opened } = wasm;
  drops.badTag += opened.badTag;
  drops.replayed += opened.replayed;
  drops.malformedOpened += opened.malformed;
  drops.malformedOuter += opened.tooShort;
  // Only datagrams that passed the AEAD and the replay window may change the endpoint or a timer (whitepaper §2.1, §6).
  if (opened.authenticated === 0) return;
  device.sessions.dataReceived(
    keypair,
    opened.authenticated,
    opened.keepalives,
    opened.wireBytes,
    sender,
    now,
  );
  const { peer } = keypair;
  for (let i = 0; i < packets; i++) {
    const at = wasm.partAddress(i);
    const size = wasm.partLength(i);
    const parts = wasm.packetParts(i);
    // One check is enough for a joined packet, because all of it comes from one keypair and has one 5-tuple
    // (wasm/src/offload/joiner.rs).
    if (!device.sourceAllowed(peer, wasm.memory.bytes, at + VIRTIO_HEADER, size - VIRTIO_HEADER)) {
      drops.wrongSource += parts;
    } else if (parts === 1) {
      if (path.tun.write(at, size) !== 0) drops.tunError++;
    } else {
      writeJoined(path, from, i, parts);
    }
  }
}

/** Writes a joined packet. If the device refuses it, the packets that it was made of are written one by one. */
function writeJoined(path: PacketPath, from: number, i: number, parts: number): void {
  const { wasm, drops } = path;
  const errno = path.tun.writeParts(from, wasm.partsAddress(i), parts);
  const protocol = joinedProtocol(wasm.memory.bytes, wasm.partAddress(i));
  if (errno === 0) {
    path.joined |= protocol;
    return;
  }
  if (errno !== Errno.EINVAL) {
    drops.tunError += parts;
    return;
  }
  wasm.separate(i);
  let written = 0;
  for (let part = 0; part < parts; part++) {
    if (path.tun.write(wasm.partAddress(i, part), wasm.partLength(i, part)) === 0) written++;
  }
  drops.tunError += parts - written;
  // If single packets are refused too, joining is not the cause. If other joined packets were accepted, these packets
  // are the cause, and one peer must not end joining for all.
  if (written > 0 && (path.joined & protocol) === 0) stopJoining(path, protocol);
}
