/**
 * The changes of peers in a reload.
 *
 * @module
 */

import { formatSocketAddress, type SocketAddress } from "../../config/endpoint.ts";
import { formatKey, isZeroKey, type Key, KEY_LENGTH, parseKey } from "../../config/key.ts";
import { type AllowedIpChange, formatPrefix, parsePrefix } from "../../config/prefix.ts";
import type { WgConfig } from "../../config/wg_config.ts";
import type { PeerState } from "../../uapi/get.ts";
import { type PeerChange, peerChange } from "../../uapi/set.ts";
import type { AppliedPeer } from "./applied.ts";
import { isUnchanged, settle, type Sides, type Values, valuesOf } from "./sides.ts";

/** Addresses of endpoints, by the public keys of their peers. */
export type Addresses = ReadonlyMap<string, SocketAddress>;

/** The change of one peer. */
export interface PeerPart {
  readonly change: PeerChange;
  readonly line: string;
  readonly differences: readonly string[];
}

/** Peers that the file no longer has. Without a record, the running peers count as the file's. */
export function* removedPeers({ wanted, before, running }: Sides): Generator<PeerPart> {
  for (const { publicKey } of running.peers) {
    const key = formatKey(publicKey);
    if (key in wanted.peers || before.length > 0 && !before.some(({ peers }) => key in peers)) continue;
    const change = peerChange(publicKey, { remove: true });
    yield { change, line: `peer ${key} remove`, differences: [] };
  }
}

/** Peers that differ from the file. */
export function* setPeers(sides: Sides, addresses: Addresses): Generator<PeerPart> {
  const { config, wanted, before, left, running } = sides;
  const states = new Map(running.peers.map((peer) => [formatKey(peer.publicKey), peer]));
  const secrets = presharedKeys(config);
  const networks = networkChanges(sides, states);
  const moving = new Set([...networks.values()].flatMap(({ added }) => added));
  for (const [key, peer] of Object.entries(wanted.peers)) {
    const state = states.get(key);
    const isKnown = before.length > 0 && before.every(({ peers }) => key in peers);
    const given = { key, peer, presharedKey: secrets.get(key), endpoint: addresses.get(key) };
    if (state) {
      const part = changedPeer(given, state, sides, networks.get(key)!, moving);
      if (part) yield part;
    } else if (!isKnown || !left || key in left.peers) {
      const differences = isKnown ? [`peer ${key} is gone`] : [];
      yield { change: newPeer(given), line: `peer ${key} (new)`, differences };
    }
  }
}

/** The settings of a peer in the file. */
interface GivenPeer {
  readonly key: string;
  readonly peer: AppliedPeer;
  readonly presharedKey: Key | undefined;
  /** Absent if it was not looked up. */
  readonly endpoint: SocketAddress | undefined;
}

function newPeer(
  { key, peer: { persistentKeepalive, allowedIps }, presharedKey, endpoint }: GivenPeer,
): PeerChange {
  return peerChange(parseKey(key)!, {
    ...(presharedKey && { presharedKey }),
    ...(endpoint && { endpoint }),
    ...(persistentKeepalive !== undefined && { persistentKeepalive }),
    replaceAllowedIps: true,
    allowedIps: allowedIps.map(toAllow),
  });
}

/**
 * The change of a running peer.
 *
 * @param moving Networks that peers get. A peer that keeps one of these does not get it again, or it would take it
 * back.
 */
function changedPeer(
  { key, presharedKey, endpoint }: GivenPeer,
  state: PeerState,
  sides: Sides,
  { added, kept, lost }: NetworkChange,
  moving: ReadonlySet<string>,
): PeerPart | undefined {
  const { hash } = sides;
  const change = peerChange(state.publicKey);
  const changed: string[] = [];
  const differences: string[] = [];
  const set = <T>(what: string, values: Values<T>, difference: string) => {
    changed.push(what);
    if (isUnchanged(values)) differences.push(`peer ${key}: ${difference}`);
  };
  const secret = valuesOf(
    sides,
    ({ peers }) => peers[key]?.presharedKey,
    state.presharedKey && hash(state.presharedKey),
  );
  const secretWanted = settle(secret);
  if (secretWanted !== secret.running) {
    set("preshared-key", secret, `its preshared key is ${secret.running ? "another one" : "gone"}`);
    change.presharedKey = secretWanted === undefined ? new Uint8Array(KEY_LENGTH) : presharedKey!;
  }
  const keepalive = valuesOf(
    sides,
    ({ peers }) => peers[key]?.persistentKeepalive,
    state.persistentKeepalive,
  );
  const interval = settle(keepalive) ?? 0;
  if (interval !== state.persistentKeepalive) {
    const [is, should] = [state.persistentKeepalive || "off", interval || "off"];
    set("persistent-keepalive", keepalive, `its persistent keepalive is ${is}, not ${should}`);
    change.persistentKeepalive = interval;
  }
  if (
    endpoint && !(state.endpoint && formatSocketAddress(endpoint) === formatSocketAddress(state.endpoint))
  ) {
    changed.push("endpoint");
    change.endpoint = endpoint;
  }
  if (added.length > 0 || kept) {
    changed.push("allowed-ips");
    if (lost.length > 0) differences.push(`peer ${key}: its allowed IPs lack ${lost.join(", ")}`);
    change.replaceAllowedIps = kept !== undefined;
    const stay = kept?.filter((network) => !moving.has(network)) ?? [];
    change.allowedIps = [...stay, ...added].map(toAllow);
  }
  if (changed.length === 0) return undefined;
  return { change, line: `peer ${key} (changed: ${changed.join(", ")})`, differences };
}

/** The changes of a peer's allowed IPs. */
interface NetworkChange {
  /** The networks that it gets. */
  readonly added: readonly string[];
  /** Those of them that another program has taken from it. */
  readonly lost: readonly string[];
  /** All others that it keeps, if it loses any, because not every WireGuard can remove a single one. */
  readonly kept?: readonly string[];
}

function networkChanges(sides: Sides, states: ReadonlyMap<string, PeerState>): Map<string, NetworkChange> {
  const { peers } = sides.wanted;
  const given = new Set(Object.values(peers).flatMap(({ allowedIps }) => allowedIps));
  return new Map(
    Object.entries(peers).map(([key, peer]) => {
      const state = states.get(key);
      const change = state
        ? networkChange(key, peer, state, sides, given)
        : { added: peer.allowedIps, lost: [] };
      return [key, change];
    }),
  );
}

/** @param given All networks of all peers in the file. */
function networkChange(
  key: string,
  { allowedIps }: AppliedPeer,
  state: PeerState,
  { before, left }: Sides,
  given: ReadonlySet<string>,
): NetworkChange {
  const running = new Set(state.allowedIps.map(formatPrefix));
  const had = before.map(({ peers }) => new Set(peers[key]?.allowedIps));
  const leftByHooks = left && new Set(left.peers[key]?.allowedIps);
  const hadAlways = (network: string) => had.length > 0 && had.every((set) => set.has(network));
  const isGone = (network: string) =>
    !given.has(network) && (had.length === 0 || had.some((set) => set.has(network)));
  const missing = allowedIps.filter((network) => !running.has(network));
  const added = missing.filter((network) => !hadAlways(network) || !leftByHooks || leftByHooks.has(network));
  const kept = [...running].filter((network) => !isGone(network));
  return { added, lost: added.filter(hadAlways), ...(kept.length < running.size && { kept }) };
}

function toAllow(network: string): AllowedIpChange {
  return { remove: false, prefix: parsePrefix(network)! };
}

/** The preshared keys of a file, by public key. */
function presharedKeys({ peers }: WgConfig): Map<string, Key> {
  return new Map(
    peers.flatMap(({ publicKey, presharedKey }) =>
      presharedKey && !isZeroKey(presharedKey) ? [[formatKey(publicKey), presharedKey] as const] : []
    ),
  );
}
