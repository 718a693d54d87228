/**
 * The cross-platform configuration protocol for a running device: implements `get` and `set`. A `set` is applied
 * completely or not at all. Everything that can fail (the port, the mark) is done before the first peer is changed.
 * wireguard-go applies line by line and may leave half a change behind.
 *
 * @module
 */

import type { Device } from "../../protocol/device.ts";
import { Errno } from "../../uapi/errno.ts";
import {
  type CountedPeer,
  type CountersSelection,
  formatCounters,
  parseCountersRequest,
} from "../../uapi/counters.ts";
import { type Diagnostics, DIAGNOSTICS_REQUEST, formatDiagnostics } from "../../uapi/diagnostics.ts";
import type { InterfaceIndex } from "../../config/endpoint.ts";
import { isZeroKey, type Key } from "../../config/key.ts";
import { endpointWords, socketAddress } from "../../protocol/endpoint.ts";
import { formatLocation, type Location, LOCATION_REQUEST } from "../../uapi/location.ts";
import type { Now } from "../../protocol/clock.ts";
import type { Peer } from "../../protocol/peer.ts";
import { type DeviceState, formatGet, type PeerState } from "../../uapi/get.ts";
import { formatErrno, UapiError } from "../../uapi/lines.ts";
import { type DeviceChange, parseSet, type PeerChange } from "../../uapi/set.ts";
import { PAUSE } from "./connection.ts";
import { mayAdd, PeerLimit } from "./peer_limit.ts";

/** The part of the configuration that belongs to the sockets rather than to the protocol. */
export interface SocketSettings {
  /** The UDP port we listen on; 0 while none is chosen. */
  readonly listenPort: number;
  /** The mark on outgoing datagrams; 0 for none. */
  readonly fwmark: number;
  /**
   * Changes port and mark together; on failure both stay as they were.
   *
   * @param done Called with 0 or the errno of the failure, before this call returns or in a later turn.
   */
  change(
    listenPort: number | undefined,
    fwmark: number | undefined,
    done: (errno: number) => void,
  ): void;
}

/**
 * The response to `get=1`. The list of peers is fixed now, in the order in which they were added. The state of each
 * peer is read when it is written, because reading a hundred thousand at once would delay packets. A peer that is
 * removed meanwhile is left out.
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

/** The counters of the requested peers. */
function* readCounters(device: Device, { since = 0, publicKeys }: CountersSelection): Iterable<CountedPeer> {
  const peers = publicKeys ? publicKeys.map((key) => device.peer(key)) : [...device.peers];
  for (const peer of peers) {
    if (!peer || peer.removed) continue;
    const lastHandshake = peer.lastHandshake ?? { seconds: 0, nanoseconds: 0 };
    if (lastHandshake.seconds < since) continue;
    const { publicKey, endpoint, txBytes, rxBytes } = peer;
    yield {
      publicKey,
      lastHandshake,
      txBytes,
      rxBytes,
      ...(endpoint && { endpoint: socketAddress(endpoint) }),
    };
  }
}

/** Applies the settings of the interface. @returns 0, or the errno to report. Nothing has changed then. */
function* applySettings(
  device: Device,
  settings: SocketSettings,
  change: DeviceChange,
  now: Now,
): Generator<typeof PAUSE, number> {
  if (change.listenPort !== undefined || change.fwmark !== undefined) {
    const result: { errno?: number } = {};
    settings.change(change.listenPort, change.fwmark, (errno) => result.errno = errno);
    while (result.errno === undefined) yield PAUSE;
    if (result.errno !== 0) return result.errno;
  }
  if (change.privateKey) device.setPrivateKey(isZeroKey(change.privateKey) ? null : change.privateKey, now);
  return 0;
}

function applyPeer(device: Device, change: PeerChange, now: Now): void {
  // A peer with the interface's own key is ignored without an error, as in the kernel (netlink.c, set_peer).
  const peer = mayAdd(change) ? device.addPeer(change.publicKey) : device.peer(change.publicKey);
  if (!peer) return;
  if (change.remove) return device.removePeer(peer);
  // This is the result of a lookup, not a configuration. Only packets that waited for an endpoint are sent.
  if (change.foundEndpoint) return device.endpointFound(peer, endpointWords(change.foundEndpoint), now);
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
  // Last, because turning it on sends a keepalive at once, which needs the endpoint.
  if (change.persistentKeepalive !== undefined) {
    device.setPersistentKeepalive(peer, change.persistentKeepalive, now);
  }
  device.peerConfigured(peer, now);
}

/** The parts of an interface that a server reads and changes. */
export interface Served {
  readonly device: Device;
  readonly settings: SocketSettings;
  /** Read for each request. */
  readonly diagnostics: () => Diagnostics;
  /** Returns where the interface is; undefined if it was deleted or is not an interface of this machine. */
  readonly location: () => Location | undefined;
  /** Resolves scopes of link-local endpoints. */
  readonly interfaceIndex: InterfaceIndex;
  readonly now: Now;
}

/** Answers the requests of all connections to one device. */
export class ControlServer {
  /** Whether a change is in progress. */
  #changing = false;

  constructor(readonly served: Served) {}

  /**
   * Answers one request.
   *
   * @param request The text with its empty line.
   * @returns The pieces of the reply; null for an unknown request.
   */
  respond(request: string): Iterator<string> | null {
    if (request === "get=1\n\n" || request === "get=1\n") return this.#inTurn(() => this.#get());
    if (request === DIAGNOSTICS_REQUEST) return this.#inTurn(() => this.#getWithDiagnostics());
    if (request === LOCATION_REQUEST) return [this.#location()].values();
    const counters = parseCountersRequest(request);
    if (counters) return this.#inTurn(() => formatCounters(readCounters(this.served.device, counters)));
    if (request.startsWith("get=1\n")) return this.#inTurn(() => [formatErrno("get", Errno.EINVAL)]);
    if (request.startsWith("set=1\n")) return this.#inTurn(() => this.#set(request.slice("set=1\n".length)));
    return null;
  }

  /** A request during a change waits for its end, so that it does not see half of the change. */
  *#inTurn(reply: () => Iterable<string>): Generator<string, void> {
    while (this.#changing) yield PAUSE;
    yield* reply();
  }

  #get(): Iterable<string> {
    return formatGet(readState(this.served.device, this.served.settings));
  }

  *#getWithDiagnostics(): Generator<string, void> {
    yield formatDiagnostics(this.served.diagnostics());
    yield* this.#get();
  }

  #location(): string {
    const location = this.served.location();
    return location ? formatLocation(location) : formatErrno("get", Errno.ENODEV);
  }

  *#set(lines: string): Generator<string, void> {
    this.#changing = true;
    try {
      const errno = yield* applySet(lines, this.served);
      yield formatErrno("set", errno);
    } finally {
      this.#changing = false;
    }
  }
}

/** Characters of a request that are processed at a time, which takes one or two milliseconds. */
const SLICE = 32_768;
/** Peers that are removed at a time. */
const REMOVALS = 512;

/**
 * Applies the lines of a `set`, those after `set=1`. Packets are processed where it yields. The lines are parsed twice:
 * first to check all of them, then to apply them. A list of a hundred thousand changes would take several times the
 * memory of the peers themselves.
 *
 * @returns 0, or the errno to report. Nothing has changed then.
 */
export function* applySet(
  lines: string,
  { device, settings, interfaceIndex, now }: Omit<Served, "diagnostics" | "location">,
): Generator<typeof PAUSE, number> {
  // Keeps the results of the first pass for the second, because interfaces may change in between.
  const found = new Map<string, number>();
  const indexOf = (name: string) => {
    const known = found.get(name) ?? interfaceIndex(name);
    found.set(name, known);
    return known;
  };
  try {
    // The settings of the interface are all in the first slice.
    let change: DeviceChange | undefined;
    let added = 0;
    for (const slice of slices(lines)) {
      const part = parseSet(slice, indexOf, (peer) => {
        if (mayAdd(peer)) added++;
        wipe(peer);
      });
      change ??= part;
      if (slice.length < lines.length) yield PAUSE;
    }
    if (change === undefined) return 0;
    if (added > device.maxPeers - device.peerCount && (yield* exceedsPeers(lines, device, change, indexOf))) {
      wipe(change);
      // As in the kernel (peer.c, wg_peer_create).
      return Errno.ENOMEM;
    }
    const errno = yield* applySettings(device, settings, change, now);
    wipe(change);
    if (errno !== 0) return errno;
    if (change.replacePeers) yield* removeAll(device);
    for (const slice of slices(lines)) {
      const part = parseSet(slice, indexOf, (peer) => {
        applyPeer(device, peer, now);
        wipe(peer);
      });
      wipe(part);
      if (slice.length < lines.length) yield PAUSE;
    }
    return 0;
  } catch (error) {
    if (error instanceof UapiError) return error.errno;
    throw error;
  }
}

/** Whether there would be too many peers. Only a list that may be too long is parsed once more. */
function* exceedsPeers(
  lines: string,
  device: Device,
  { replacePeers }: DeviceChange,
  indexOf: InterfaceIndex,
): Generator<typeof PAUSE, boolean> {
  const limit = new PeerLimit(device, replacePeers);
  for (const slice of slices(lines)) {
    const part = parseSet(slice, indexOf, (peer) => {
      limit.follow(peer);
      wipe(peer);
    });
    wipe(part);
    if (slice.length < lines.length) yield PAUSE;
  }
  return limit.exceeded;
}

/** Erases the keys of a change. The device has copies. */
function wipe({ privateKey, presharedKey }: { privateKey?: Key; presharedKey?: Key }): void {
  privateKey?.fill(0);
  presharedKey?.fill(0);
}

function* removeAll(device: Device): Generator<typeof PAUSE, void> {
  for (const [i, peer] of [...device.peers].entries()) {
    device.removePeer(peer);
    if (i % REMOVALS === REMOVALS - 1) yield PAUSE;
  }
}

/** Splits a request before a peer. */
function* slices(lines: string): Generator<string, void> {
  for (let at = 0; at < lines.length;) {
    const cut = lines.indexOf("\npublic_key=", at + SLICE);
    const end = cut < 0 ? lines.length : cut + 1;
    yield lines.slice(at, end);
    at = end;
  }
}
