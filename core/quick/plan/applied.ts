/**
 * The WireGuard settings of a file when it was applied. The record of `up` keeps them, so that a reload can distinguish
 * them from the settings of a hook or an operator.
 *
 * @module
 */

import { formatKey, isZeroKey, type Key } from "../../config/key.ts";
import { formatPrefix } from "../../config/prefix.ts";
import type { PeerConfig, WgConfig } from "../../config/wg_config.ts";
import type { DeviceState, PeerState } from "../../uapi/get.ts";

/**
 * The settings. A setting that is absent was not in the file. Secrets are stored as hashes, which can only be compared.
 */
export interface Applied {
  readonly privateKey?: string;
  readonly listenPort?: number;
  readonly fwmark?: number;
  /** By the public keys of peers in base64. */
  readonly peers: Readonly<Record<string, AppliedPeer>>;
}

/** The settings of one peer. */
export interface AppliedPeer {
  readonly presharedKey?: string;
  /** As it is in the file; it may be a name. A peer roams, so its present address is not compared. */
  readonly endpoint?: string;
  /** The same, if the interface must look it up again. */
  readonly endpointName?: string;
  readonly persistentKeepalive?: number;
  /** In the form of `formatPrefix`. */
  readonly allowedIps: readonly string[];
}

/** Returns the hash of a key. */
export type KeyHash = (key: Key) => string;

/**
 * The settings of a file.
 *
 * @param fwmark The mark that the file sets or needs.
 * @param names Names of endpoints that are looked up again, by public key.
 */
export function appliedBy(
  config: WgConfig,
  fwmark: number | undefined,
  names: ReadonlyMap<string, string>,
  hash: KeyHash,
): Applied {
  const peers: Record<string, AppliedPeer> = {};
  const networks = networksByPeer(config.peers);
  for (const peer of config.peers) {
    const key = formatKey(peer.publicKey);
    // If a peer has two sections, the later value counts.
    peers[key] = {
      ...peers[key],
      ...(isSet(peer.presharedKey) && { presharedKey: hash(peer.presharedKey) }),
      ...(peer.endpoint && { endpoint: peer.endpoint.text }),
      ...(names.has(key) && { endpointName: names.get(key)! }),
      ...(peer.persistentKeepalive !== undefined && { persistentKeepalive: peer.persistentKeepalive }),
      allowedIps: networks.get(key) ?? [],
    };
  }
  return {
    ...(isSet(config.privateKey) && { privateKey: hash(config.privateKey) }),
    // 0 means any port.
    ...(config.listenPort && { listenPort: config.listenPort }),
    ...(fwmark !== undefined && { fwmark }),
    peers,
  };
}

/** The networks of each peer on the interface. A network in several peers belongs to the last one. */
function networksByPeer(peers: readonly PeerConfig[]): Map<string, string[]> {
  const owners = new Map<string, string>();
  const seen = new Set<string>();
  for (const { publicKey, replaceAllowedIps, allowedIps } of peers) {
    const key = formatKey(publicKey);
    if (replaceAllowedIps && seen.has(key)) {
      for (const [network, owner] of owners) if (owner === key) owners.delete(network);
    }
    seen.add(key);
    for (const { remove, prefix } of allowedIps) {
      const network = formatPrefix(prefix);
      if (!remove) owners.set(network, key);
      else if (owners.get(network) === key) owners.delete(network);
    }
  }
  const networks = new Map<string, string[]>();
  for (const [network, owner] of owners) {
    const list = networks.get(owner);
    if (list) list.push(network);
    else networks.set(owner, [network]);
  }
  return networks;
}

/**
 * The settings of an interface right after `up`, if the file's own hooks changed some of them.
 *
 * @returns Undefined if they changed nothing.
 */
export function leftByHooks(applied: Applied, state: DeviceState, hash: KeyHash): Applied | undefined {
  const running = new Map(state.peers.map((peer) => [formatKey(peer.publicKey), peer]));
  const peers: Record<string, AppliedPeer> = {};
  for (const [key, peer] of Object.entries(applied.peers)) {
    const state = running.get(key);
    if (state) peers[key] = peerLeft(peer, state, hash);
  }
  const { privateKey } = state;
  const left = {
    ...(applied.privateKey !== undefined && privateKey && { privateKey: hash(privateKey) }),
    ...(applied.listenPort !== undefined && { listenPort: state.listenPort }),
    ...(applied.fwmark !== undefined && { fwmark: state.fwmark }),
    peers,
  };
  return sameApplied(applied, left) ? undefined : left;
}

function peerLeft(peer: AppliedPeer, state: PeerState, hash: KeyHash): AppliedPeer {
  const networks = new Set(state.allowedIps.map(formatPrefix));
  return {
    ...(peer.presharedKey !== undefined && state.presharedKey &&
      { presharedKey: hash(state.presharedKey) }),
    ...(peer.endpoint !== undefined && { endpoint: peer.endpoint }),
    ...(peer.endpointName !== undefined && state.endpointName !== undefined &&
      { endpointName: state.endpointName }),
    ...(peer.persistentKeepalive !== undefined && { persistentKeepalive: state.persistentKeepalive }),
    allowedIps: peer.allowedIps.filter((network) => networks.has(network)),
  };
}

/** A key of zeros means no key. */
function isSet(key: Key | undefined): key is Key {
  return key !== undefined && !isZeroKey(key);
}

/** Both have the same order of keys. */
function sameApplied(a: Applied, b: Applied): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
