/**
 * The cross-platform configuration protocol over a running device: what `get` reads and what `set` does.
 *
 * A `set` is applied whole or not at all. Everything that can fail (the port, the mark) is tried before the first peer
 * is touched; wireguard-go applies line by line and leaves half a change behind.
 *
 * @module
 */

import type { Device } from "../../protocol/device.ts";
import { type Diagnostics, DIAGNOSTICS_REQUEST, formatDiagnostics } from "../../uapi/diagnostics.ts";
import { isZeroKey } from "../../config/key.ts";
import { endpointWords, socketAddress } from "../../protocol/endpoint.ts";
import type { Now } from "../../protocol/clock.ts";
import type { Peer } from "../../protocol/peer.ts";
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
} from "../../uapi/format.ts";
import { interfaceIndex } from "../../client/system.ts";

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

/**
 * Everything `get=1` tells. Who the peers are is settled now, in the order they were added; what is told of each is read
 * when its turn comes, since a hundred thousand at once would keep packets waiting. One that was removed meanwhile is left
 * out.
 */
export function readState(
  device: Device,
  settings: SocketSettings,
): Omit<DeviceState, "peers"> & { peers: Iterable<PeerState> } {
  return {
    ...(device.privateKey ? { privateKey: device.privateKey } : {}),
    listenPort: settings.listenPort,
    fwmark: settings.fwmark,
    peers: readPeers(device, [...device.peers]),
  };
}

function* readPeers(device: Device, peers: readonly Peer[]): Iterable<PeerState> {
  for (const peer of peers) {
    if (peer.removed) continue;
    yield {
      publicKey: peer.publicKey,
      ...(peer.presharedKey ? { presharedKey: peer.presharedKey } : {}),
      ...(peer.endpoint ? { endpoint: socketAddress(peer.endpoint) } : {}),
      ...(peer.endpointName ? { endpointName: peer.endpointName.text } : {}),
      lastHandshake: peer.lastHandshake ?? { seconds: 0, nanoseconds: 0 },
      txBytes: peer.txBytes,
      rxBytes: peer.rxBytes,
      persistentKeepalive: peer.persistentKeepalive,
      allowedIps: [...device.allowedIps(peer)],
    };
  }
}

/** Applies what is about no peer. @returns 0, or the errno to report; then nothing has changed. */
function applySettings(device: Device, settings: SocketSettings, change: DeviceChange, now: Now): number {
  if (change.listenPort !== undefined || change.fwmark !== undefined) {
    const errno = settings.change(change.listenPort, change.fwmark);
    if (errno !== 0) return errno;
  }
  if (change.privateKey) device.setPrivateKey(isZeroKey(change.privateKey) ? null : change.privateKey, now);
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
 * @param diagnostics Read if the request asks for them.
 * @returns The pieces of the reply; none for what is no request, whose connection is then closed. An empty piece only says
 * that packets may pass before the next.
 */
export function* respond(
  request: string,
  device: Device,
  settings: SocketSettings,
  diagnostics: () => Diagnostics,
  now: Now,
): Generator<string, void> {
  // What comes while the interface changes waits, and does not see half a change. What was being read before may.
  while (changing.has(device)) yield "";
  if (request === "get=1\n\n" || request === "get=1\n") {
    yield* formatGet(readState(device, settings));
  } else if (request === DIAGNOSTICS_REQUEST) {
    yield formatDiagnostics(diagnostics());
    yield* formatGet(readState(device, settings));
  } else if (request.startsWith("get=1\n")) {
    yield formatErrno("get", EINVAL);
  } else if (request.startsWith("set=1\n")) {
    yield formatErrno("set", yield* applySet(request.slice("set=1\n".length), device, settings, now));
  }
}

/** Devices that are in the middle of a change. */
const changing = new WeakSet<Device>();
/** Characters of a request that are worked through at a time: a millisecond or two. */
const SLICE = 32_768;
/** Peers that are removed at a time. */
const REMOVALS = 512;

/**
 * Applies the lines of a `set`, those after `set=1`. Packets may pass where it yields; who gives it up there finds that it
 * is finished nevertheless.
 *
 * @returns 0, or the errno to report; then nothing has changed.
 */
export function* applySet(
  lines: string,
  device: Device,
  settings: SocketSettings,
  now: Now,
): Generator<"", number> {
  const steps = applyInSteps(lines, device, settings, now);
  changing.add(device);
  try {
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
      yield "";
    }
  } finally {
    while (!steps.next().done);
    changing.delete(device);
  }
}

/**
 * Lines are read twice: first whether all of them can be accepted, then to do it. A list of a hundred thousand changes
 * would take several times the memory of the peers that they make.
 */
function* applyInSteps(
  lines: string,
  device: Device,
  settings: SocketSettings,
  now: Now,
): Generator<void, number> {
  // The second time finds what the first one found, whatever happens to interfaces in between.
  const found = new Map<string, number>();
  const indexOf = (name: string) => {
    const known = found.get(name) ?? interfaceIndex(name);
    found.set(name, known);
    return known;
  };
  try {
    // What is not about one peer is all in the first slice.
    let change: DeviceChange | undefined;
    for (const slice of slices(lines)) {
      const part = parseSet(slice, indexOf, () => {});
      change ??= part;
      if (slice.length < lines.length) yield;
    }
    if (change === undefined) return 0;
    const errno = applySettings(device, settings, change, now);
    if (errno !== 0) return errno;
    if (change.replacePeers) yield* removeAll(device, now);
    for (const slice of slices(lines)) {
      parseSet(slice, indexOf, (peer) => applyPeer(device, peer, now));
      if (slice.length < lines.length) yield;
    }
    return 0;
  } catch (error) {
    if (error instanceof UapiError) return error.errno;
    throw error;
  }
}

function* removeAll(device: Device, now: Now): Generator<void, void> {
  for (const [i, peer] of [...device.peers].entries()) {
    device.removePeer(peer, now);
    if (i % REMOVALS === REMOVALS - 1) yield;
  }
}

/** Cuts a request where a peer begins. */
function* slices(lines: string): Generator<string, void> {
  for (let at = 0; at < lines.length;) {
    const cut = lines.indexOf("\npublic_key=", at + SLICE);
    const end = cut < 0 ? lines.length : cut + 1;
    yield lines.slice(at, end);
    at = end;
  }
}
