/**
 * One packet out, from TUN to UDP: read, route, seal, send, tell the timers.
 *
 * @module
 */

import { unreachable } from "../protocol/icmp.ts";
import type { Now } from "../protocol/clock.ts";
import type { Keypair } from "../protocol/keypair.ts";
import type { Peer } from "../protocol/peer.ts";
import { INNER_CAPACITY, MAX_DATAGRAM, MAX_SEGMENTS, type PacketPath, VIRTIO_HEADER } from "./path.ts";

/** Super-packets taken per wake-up, so that a busy TUN device cannot starve the sockets. */
const READS_PER_TURN = 32;

/** Takes what waits at the TUN device and sends it to the peers it belongs to. */
export function tunReadable(path: PacketPath, now: Now): void {
  for (let reads = 0; reads < READS_PER_TURN; reads++) {
    const length = path.tun.read(path.inner, INNER_CAPACITY);
    if (length === 0) return;
    route(path, length, now);
  }
}

/** Finds the peer for the packet in `path.inner` and seals, stages or refuses it. */
function route(path: PacketPath, length: number, now: Now): void {
  const { device, wasm } = path;
  const packet = path.inner + VIRTIO_HEADER;
  const peer = device.lookup(wasm.memory.bytes, packet, length - VIRTIO_HEADER);
  if (peer === null) {
    path.drops.noPeer++;
    refuse(path, length, now);
    return;
  }
  if (peer.endpoint === null) {
    path.drops.noEndpoint++;
    refuse(path, length, now);
    return;
  }
  const keypair = device.sendingKeypair(peer, now);
  if (keypair === null) {
    device.stage(peer, wasm.memory.bytes.slice(path.inner, path.inner + length));
    return;
  }
  sealAndSend(path, peer, keypair, length, now);
}

/** Seals the packet in `path.inner` and sends it, in as many trains as its segments need. */
function sealAndSend(path: PacketPath, peer: Peer, keypair: Keypair, length: number, now: Now): void {
  const { wasm } = path;
  const endpoint = peer.endpoint;
  const socket = endpoint && path.socketFor(endpoint);
  if (!endpoint || !socket) {
    path.drops.noEndpoint++;
    return;
  }
  let first = 0;
  do {
    first = wasm.sealBatch(
      keypair.slot,
      path.inner,
      length,
      path.sealed,
      path.mtu,
      first,
      MAX_SEGMENTS,
      MAX_DATAGRAM,
    );
    const { written, stride, segments, flags, ecn } = wasm.sealed;
    if (segments === 0) {
      if (flags & wasm.MALFORMED) path.drops.malformedInner++;
      // A spent key seals nothing more; this packet waits for the next one, as all that follow will.
      else path.device.stage(peer, wasm.memory.bytes.slice(path.inner, path.inner + length));
      path.device.dataSent(peer, keypair, 0, 0, flags, now);
      return;
    }
    const errno = socket.send(endpoint, path.sealed, written, segments > 1 ? stride : 0, ecn);
    if (errno !== 0) path.drops.sendError++;
    path.device.dataSent(peer, keypair, segments, written, flags, now);
  } while (first < wasm.sealed.total);
}

/** Tells the sender of an inner packet that nobody is there, as the kernel does (device.c, wg_xmit). */
function refuse(path: PacketPath, length: number, now: Now): void {
  const { memory } = path.wasm;
  const packet = memory.bytes.subarray(path.inner + VIRTIO_HEADER, path.inner + length);
  const reply = memory.bytes.subarray(path.opened + VIRTIO_HEADER, path.opened + VIRTIO_HEADER + MAX_ICMP);
  const size = path.unreachable.reply(packet, reply, now);
  if (size === 0) return;
  memory.bytes.fill(0, path.opened, path.opened + VIRTIO_HEADER);
  path.tun.write(path.opened, VIRTIO_HEADER + size);
}

/** Sends what the protocol wants sent: handshake messages, keepalives, packets that waited for a key. */
export function flush(path: PacketPath, now: Now): void {
  const { device, wasm } = path;
  for (let output = device.poll(); output !== null; output = device.poll()) {
    switch (output.kind) {
      case "handshake": {
        const { bytes, endpoint, tos } = output;
        wasm.memory.bytes.set(bytes, path.sealed);
        const errno = path.socketFor(endpoint)?.send(endpoint, path.sealed, bytes.length, 0, tos) ?? -1;
        if (errno !== 0) path.drops.sendError++;
        break;
      }
      case "keepalive": {
        const { peer } = output;
        const keypair = device.sendingKeypair(peer, now);
        const { endpoint } = peer;
        if (keypair === null || endpoint === null) break;
        const length = wasm.sealKeepalive(keypair.slot, path.sealed);
        if (length === 0) break;
        const errno = path.socketFor(endpoint)?.send(endpoint, path.sealed, length, 0, 0) ?? -1;
        if (errno !== 0) path.drops.sendError++;
        device.keepaliveSent(peer, keypair, length, 0, now);
        break;
      }
      case "staged":
        for (const packet of output.peer.takeStaged()) {
          const keypair = device.sendingKeypair(output.peer, now);
          if (keypair === null) {
            device.stage(output.peer, packet);
            continue;
          }
          wasm.memory.bytes.set(packet, path.inner);
          sealAndSend(path, output.peer, keypair, packet.length, now);
        }
        break;
    }
  }
}
