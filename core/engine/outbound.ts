/**
 * The outbound packet path, from TUN to UDP: read, route, encrypt, send, update timers.
 *
 * @module
 */

import { VIRTIO_HEADER } from "../../wasm/packet.ts";
import { COUNTER_SPENT, SEND_FAILED } from "../protocol/sessions.ts";
import { MAX_ICMP } from "../protocol/icmp.ts";
import type { Now } from "../protocol/clock.ts";
import type { Keypair } from "../protocol/keypair.ts";
import type { Peer } from "../protocol/peer.ts";
import type { DatagramSocket } from "./doors.ts";
import { OUT } from "./lanes/board.ts";
import type { Outgoing } from "./lanes/outgoing.ts";
import { BYTES_PER_TURN, INNER_CAPACITY, type PacketPath } from "./path.ts";
import { MAX_SEGMENTS } from "./train.ts";

/** Packets read per turn, so that a busy TUN device cannot starve the sockets. */
const READS_PER_TURN = 64;
/** Milliseconds from one cookie to the next while the send buffer is half full. */
const COOKIE_PAUSE = 10;

/** Reads packets from the TUN device and sends them to their peers. */
export function tunReadable(path: PacketPath, now: Now): void {
  const sealing = path.lanes?.sealing;
  if (sealing) readForLanes(path, sealing);
  else readHere(path, now);
  sendTrain(path, now);
  path.lanes?.allRead(OUT);
}

/** Reads packets and encrypts them in this thread. */
function readHere(path: PacketPath, now: Now): void {
  let bytes = 0;
  for (let reads = 0; reads < READS_PER_TURN && bytes < BYTES_PER_TURN; reads++) {
    const length = path.tun.read(path.inner, INNER_CAPACITY);
    if (length === 0) break;
    bytes += length;
    route(path, length, now);
  }
}

/** Reads packets into the memory of lanes, which encrypt them. */
function readForLanes(path: PacketPath, sealing: Outgoing): void {
  const { tun } = path;
  let bytes = 0;
  for (let reads = 0; reads < READS_PER_TURN && bytes < BYTES_PER_TURN; reads++) {
    const place = sealing.place();
    if (place === null) {
      sealing.lanes.pause(tun.fd!);
      break;
    }
    const length = tun.read(place, INNER_CAPACITY);
    if (length === 0) break;
    bytes += length;
    sealing.take(length);
  }
  sealing.post();
}

/** Finds the peer of the packet in `path.inner`. Encrypts or stages the packet, or answers it with an ICMP error. */
export function route(path: PacketPath, length: number, now: Now): void {
  const { device, wasm } = path;
  const packet = path.inner + VIRTIO_HEADER;
  const peer = device.lookup(wasm.memory.bytes, packet, length - VIRTIO_HEADER);
  if (peer === null) {
    path.drops.noPeer += wasm.packetCount(path.inner, length);
    answer(path, length, 0, now);
    return;
  }
  // If the peer's endpoint can be looked up, the packet waits for it.
  if (peer.endpoint === null && peer.endpointName === null) {
    path.drops.noEndpoint += wasm.packetCount(path.inner, length);
    answer(path, length, 0, now);
    return;
  }
  const keypair = device.sessions.sendingKeypair(peer, now);
  if (keypair === null) stage(path, peer, length);
  else seal(path, peer, keypair, length, now);
}

/** Stages a copy of the packet in `path.inner` until there is a key. */
function stage({ device, wasm, inner }: PacketPath, peer: Peer, length: number): void {
  device.sessions.stage(
    peer,
    wasm.memory.bytes.slice(inner, inner + length),
    wasm.packetCount(inner, length),
  );
}

/**
 * Encrypts the packet in `path.inner` and appends it to the train, which is sent when it is full.
 *
 * @returns Whether it was encrypted. If not, it was staged or dropped.
 */
function seal(path: PacketPath, peer: Peer, keypair: Keypair, length: number, now: Now): boolean {
  const { device, wasm, drops, train } = path;
  const { endpoint } = peer;
  if (!endpoint || !path.socketFor(endpoint)) {
    drops.noEndpoint += wasm.packetCount(path.inner, length);
    return false;
  }
  if (train.keypair !== keypair) sendTrain(path, now);
  const { sealed } = wasm;
  let first = 0;
  do {
    if (train.segments === 0) train.begin(peer, keypair, endpoint);
    const segments = wasm.sealBatch(
      keypair.slot,
      path.inner,
      length,
      train.end,
      train.room,
      Math.min(path.mtu, train.largestPacket),
      first,
      MAX_SEGMENTS - train.segments,
    );
    if (sealed.malformed) {
      drops.malformedInner++;
      return false;
    }
    if (segments === 0) {
      if (train.segments > 0) {
        sendTrain(path, now);
        continue;
      }
      if ((sealed.flags & COUNTER_SPENT) !== 0) {
        // This packet and all that follow wait for the next key.
        device.sessions.dataSent(peer, keypair, 0, 0, sealed.flags, now);
        stage(path, peer, length);
      } else {
        drops.tooBig += sealed.total - first;
        answer(path, length, train.largestPacket, now);
      }
      return false;
    }
    if (!train.takes(sealed)) {
      const { end } = train;
      sendTrain(path, now);
      train.begin(peer, keypair, endpoint, end);
    }
    train.add(sealed);
    if (train.full) sendTrain(path, now);
    first += segments;
  } while (first < sealed.total);
  return true;
}

/** Sends the train. */
export function sendTrain(path: PacketPath, now: Now): void {
  const { device, drops, train } = path;
  const { peer, keypair, endpoint, at, length, stride, segments, ecn, flags } = train;
  train.clear();
  if (segments === 0 || peer === null || keypair === null || endpoint === null) return;
  path.lanes?.noteTrain(OUT, length);
  const socket = path.socketFor(endpoint);
  const errno = socket?.send(endpoint, at, length, segments > 1 ? stride : 0, ecn);
  const refused = errno === 0 ? 0 : socket?.refused ?? segments;
  drops.sendError += refused;
  device.sessions.dataSent(
    peer,
    keypair,
    segments,
    length,
    refused < segments ? flags : flags | SEND_FAILED,
    now,
  );
}

/**
 * Answers the packet in `path.inner` with an ICMP error, so that its sender does not wait for a timeout.
 *
 * @param mtu The largest packet that can be sent to its peer; 0 if there is no such peer.
 */
function answer(path: PacketPath, length: number, mtu: number, now: Now): void {
  const { bytes } = path.wasm.memory;
  const packet = bytes.subarray(path.inner + VIRTIO_HEADER, path.inner + length);
  const reply = path.message + VIRTIO_HEADER;
  const size = path.icmp.answer(packet, bytes.subarray(reply, reply + MAX_ICMP), mtu, now);
  if (size === 0) return;
  bytes.fill(0, path.message, reply);
  path.tun.write(path.message, VIRTIO_HEADER + size);
}

/** Sends what the protocol requests: handshake messages, keepalives and packets that waited for a key. */
export function flush(path: PacketPath, now: Now): void {
  const { device, wasm, drops } = path;
  for (let output = device.poll(); output !== null; output = device.poll()) {
    switch (output.kind) {
      case "handshake": {
        const { peer, bytes, endpoint, tos } = output;
        const socket = path.socketFor(endpoint);
        if (peer === null && !mayCookieLeave(path, socket, now)) {
          drops.cookieUnsent++;
          break;
        }
        wasm.memory.bytes.set(bytes, path.message);
        const errno = socket?.send(endpoint, path.message, bytes.length, 0, tos);
        if (errno !== 0) drops.sendError++;
        break;
      }
      case "keepalive":
        sendKeepalive(path, output.peer, now);
        break;
      case "staged":
        sendStaged(path, output.peer, output.keepalive, now);
        break;
      case "lookup":
        path.lookup(output.peer, output.name);
        break;
    }
  }
}

function sendKeepalive(path: PacketPath, peer: Peer, now: Now): void {
  const { device, wasm, drops } = path;
  const keypair = device.sessions.sendingKeypair(peer, now);
  const { endpoint } = peer;
  if (keypair === null || endpoint === null) return;
  const length = wasm.sealKeepalive(keypair.slot, path.message);
  if (length === 0) {
    device.sessions.keepaliveSent(peer, keypair, 0, COUNTER_SPENT, now);
    return;
  }
  const errno = path.socketFor(endpoint)?.send(endpoint, path.message, length, 0, 0);
  if (errno !== 0) drops.sendError++;
  device.sessions.keepaliveSent(peer, keypair, length, errno === 0 ? 0 : SEND_FAILED, now);
}

/** Sends the packets that waited for a key. If a keepalive is due and none of them can be encrypted, sends one. */
function sendStaged(path: PacketPath, peer: Peer, keepalive: boolean, now: Now): void {
  const { device, wasm } = path;
  let sealed = false;
  for (const { bytes, packets } of peer.takeStaged()) {
    const keypair = device.sessions.sendingKeypair(peer, now);
    if (keypair === null) {
      device.sessions.stage(peer, bytes, packets);
      continue;
    }
    wasm.memory.bytes.set(bytes, path.inner);
    if (seal(path, peer, keypair, bytes.length, now)) sealed = true;
  }
  sendTrain(path, now);
  if (keepalive && !sealed) sendKeepalive(path, peer, now);
}

/**
 * The destination of a cookie may be spoofed. If there is no such host on the link, the kernel keeps the datagram for
 * seconds in the send buffer that packets of peers need (neighbour.c, __neigh_event_send). So cookies may use half of
 * the buffer. Beyond that they are sent at intervals: datagrams for hosts that do not exist then use a fiftieth of the
 * buffer, and a real sender still gets a reply while peers fill it.
 */
function mayCookieLeave(path: PacketPath, socket: DatagramSocket | null, { boot }: Now): boolean {
  if (boot < path.nextCookieAt && socket?.crowded) return false;
  path.nextCookieAt = boot + COOKIE_PAUSE;
  return true;
}
