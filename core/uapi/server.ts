/**
 * The cross-platform configuration protocol over a running device: what `get` reads and what `set` does.
 *
 * A `set` is applied whole or not at all. Everything that can fail (the port, the mark) is tried before the first peer
 * is touched; wireguard-go applies line by line and leaves half a change behind.
 *
 * @module
 */

import type { Device } from "../protocol/device.ts";
import { isZeroKey } from "../config/key.ts";
import { endpointWords, socketAddress } from "../protocol/endpoint.ts";
import type { Now } from "../protocol/clock.ts";
import {
  type DeviceChange,
  type DeviceState,
  EINVAL,
  formatErrno,
  formatGet,
  parseSet,
  type PeerChange,
  type PeerState,
  UapiError,
} from "./format.ts";
import { interfaceIndex } from "./system.ts";

/** The part of the configuration that belongs to the sockets rather than to the protocol. */
export interface SocketSettings {
  /** The UDP port we listen on; 0 while none is chosen. */
  readonly listenPort: number;
  /** The mark on outgoing datagrams; 0 for none. */
  readonly fwmark: number;
  /**
   * Changes port and mark together; on failure both stay as they were.
   *
   * @returns 0, or the errno of the socket call that failed.
   */
  change(listenPort: number | undefined, fwmark: number | undefined): number;
}

/** Takes a snapshot of everything `get=1` tells. Peers come in the order they were added. */
export function readState(device: Device, settings: SocketSettings): DeviceState {
  const peers: PeerState[] = [];
  for (const peer of device.peers) {
    peers.push({
      publicKey: peer.publicKey,
      ...(peer.presharedKey ? { presharedKey: peer.presharedKey } : {}),
      ...(peer.endpoint ? { endpoint: socketAddress(peer.endpoint) } : {}),
      ...(peer.endpointName ? { endpointName: peer.endpointName.text } : {}),
      lastHandshake: peer.lastHandshake ?? { seconds: 0, nanoseconds: 0 },
      txBytes: peer.txBytes,
      rxBytes: peer.rxBytes,
      persistentKeepalive: peer.persistentKeepalive,
      allowedIps: [...device.allowedIps(peer)],
    });
  }
  return {
    ...(device.privateKey ? { privateKey: device.privateKey } : {}),
    listenPort: settings.listenPort,
    fwmark: settings.fwmark,
    peers,
  };
}

/**
 * Applies a whole `set=1`.
 *
 * @returns 0, or the errno to report; then nothing has changed.
 */
export function applyChange(
  device: Device,
  settings: SocketSettings,
  change: DeviceChange,
  now: Now,
): number {
  if (change.listenPort !== undefined || change.fwmark !== undefined) {
    const errno = settings.change(change.listenPort, change.fwmark);
    if (errno !== 0) return errno;
  }
  if (change.privateKey) device.setPrivateKey(isZeroKey(change.privateKey) ? null : change.privateKey, now);
  if (change.replacePeers) {
    for (const peer of [...device.peers]) device.removePeer(peer, now);
  }
  for (const peer of change.peers) applyPeer(device, peer, now);
  return 0;
}

function applyPeer(device: Device, change: PeerChange, now: Now): void {
  const existing = device.peer(change.publicKey);
  if (change.remove) {
    if (existing) device.removePeer(existing, now);
    return;
  }
  if (!existing && change.updateOnly) return;
  if (change.foundEndpoint) {
    // An answer to a question, not a configuration: nothing goes out for it that would not go out by itself.
    if (existing) device.endpointFound(existing, endpointWords(change.foundEndpoint));
    return;
  }
  // Our own key as a peer is passed over without an error, as the kernel does (netlink.c, set_peer).
  const peer = existing ?? device.addPeer(change.publicKey, now);
  if (peer === null) return;
  if (change.presharedKey) {
    device.setPresharedKey(peer, isZeroKey(change.presharedKey) ? null : change.presharedKey);
  }
  if (change.endpoint) device.setEndpoint(peer, endpointWords(change.endpoint));
  if (change.endpointName !== undefined) device.setEndpointName(peer, change.endpointName || null);
  if (change.replaceAllowedIps) device.clearAllowedIps(peer);
  for (const { remove, prefix } of change.allowedIps) {
    if (remove) device.removeAllowedIp(peer, prefix);
    else device.insertAllowedIp(peer, prefix);
  }
  // Last, since turning it on sends a keepalive at once, and that wants the endpoint.
  if (change.persistentKeepalive !== undefined) {
    device.setPersistentKeepalive(peer, change.persistentKeepalive, now);
  }
  device.peerConfigured(peer, now);
}

/**
 * Answers one request.
 *
 * @param request Everything up to its empty line.
 * @returns The pieces of the reply; none for what is no request, whose connection is then closed.
 */
export function* respond(
  request: string,
  device: Device,
  settings: SocketSettings,
  now: Now,
): Generator<string, void> {
  if (request === "get=1\n\n" || request === "get=1\n") {
    yield* formatGet(readState(device, settings));
  } else if (request.startsWith("get=1\n")) {
    yield formatErrno("get", EINVAL);
  } else if (request.startsWith("set=1\n")) {
    yield formatErrno("set", set(request.slice("set=1\n".length), device, settings, now));
  }
}

function set(lines: string, device: Device, settings: SocketSettings, now: Now): number {
  try {
    return applyChange(device, settings, parseSet(lines, interfaceIndex), now);
  } catch (error) {
    if (error instanceof UapiError) return error.errno;
    throw error;
  }
}
