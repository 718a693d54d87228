/**
 * The cross-platform configuration protocol over a running device: what `get` reads and what `set` does.
 *
 * A `set` is applied whole or not at all. Everything that can fail (the port, the mark) is tried before the first peer
 * is touched; wireguard-go applies line by line and leaves half a change behind.
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
   * @param done Told 0 or the errno of what failed: before this call returns, or in a later turn.
   */
  change(
    listenPort: number | undefined,
    fwmark: number | undefined,
    done: (errno: number) => void,
  ): void;
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

/** What the peers that were asked for have counted. */
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

/** Applies what is about no peer. @returns 0, or the errno to report; then nothing has changed. */
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
  const existing = device.peer(change.publicKey);
  if (change.remove) {
    if (existing) device.removePeer(existing);
    return;
  }
  if (!existing && change.updateOnly) return;
  if (change.foundEndpoint) {
    // An answer to a question, not a configuration: only what waited for an endpoint goes out for it.
    if (existing) device.endpointFound(existing, endpointWords(change.foundEndpoint), now);
    return;
  }
  // Our own key as a peer is passed over without an error, as the kernel does (netlink.c, set_peer).
  const peer = existing ?? device.addPeer(change.publicKey);
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

/** What a server answers about. */
export interface Served {
  readonly device: Device;
  readonly settings: SocketSettings;
  /** Read when a request asks for them. */
  readonly diagnostics: () => Diagnostics;
  /** Where the interface is, likewise; undefined if it was deleted, or is none of this machine. */
  readonly location: () => Location | undefined;
  /** Resolves scopes of link-local endpoints. */
  readonly interfaceIndex: InterfaceIndex;
  readonly now: Now;
}

/** Answers the requests of all connections to one device. */
export class ControlServer {
  /** Whether a change is under way. */
  #changing = false;

  constructor(readonly served: Served) {}

  /**
   * Answers one request.
   *
   * @param request Everything up to its empty line.
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

  /** A request that comes during a change waits for its end, and does not see half of it. */
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

/** Characters of a request that are worked through at a time: a millisecond or two. */
const SLICE = 32_768;
/** Peers that are removed at a time. */
const REMOVALS = 512;

/**
 * Applies the lines of a `set`, those after `set=1`. Packets may pass where it yields.
 *
 * Lines are read twice: first whether all of them can be accepted, then to apply them. A list of a hundred thousand
 * changes would take several times the memory of the peers that they make.
 *
 * @returns 0, or the errno to report; then nothing has changed.
 */
export function* applySet(
  lines: string,
  { device, settings, interfaceIndex, now }: Omit<Served, "diagnostics" | "location">,
): Generator<typeof PAUSE, number> {
  // The second reading finds what the first one found, whatever happens to interfaces in between.
  const found = new Map<string, number>();
  const indexOf = (name: string) => {
    const known = found.get(name) ?? interfaceIndex(name);
    found.set(name, known);
    return known;
  };
  try {
    // What is not about one peer is all in the first slice.
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
      // As the kernel has it (peer.c, wg_peer_create).
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

/** Whether there would be too many peers. Only a list that may be too long is read once more for it. */
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

/** Erases the keys of a change: the device has copies. */
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

/** Cuts a request where a peer begins. */
function* slices(lines: string): Generator<string, void> {
  for (let at = 0; at < lines.length;) {
    const cut = lines.indexOf("\npublic_key=", at + SLICE);
    const end = cut < 0 ? lines.length : cut + 1;
    yield lines.slice(at, end);
    at = end;
  }
}
