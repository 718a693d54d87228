/**
 * Between what files say and what interfaces are told: `setconf`, `addconf`, `syncconf` and `showconf` as functions of
 * values.
 *
 * @module
 */

import {
  type EndpointText,
  formatScopedAddress,
  formatSocketAddress,
  type InterfaceName,
  type SocketAddress,
} from "../config/endpoint.ts";
import { formatHexKey, KEY_LENGTH } from "../config/key.ts";
import type { WgConfig } from "../config/wg_config.ts";
import { type DeviceChange, type DeviceState, type PeerChange, peerChange } from "./format.ts";

/** How a file meets what an interface has: instead of it, in addition to it, or as the difference from it. */
export type Mode = "set" | "add" | "sync";

/**
 * Makes of a file what to ask of an interface.
 *
 * @param config The file.
 * @param endpoints For each peer of the file, where its endpoint is; undefined if it has none.
 * @param mode `set` and `sync` also reset what the file does not name: the private key is taken away, the mark is off,
 * the system chooses a port.
 */
export function toChange(
  config: WgConfig,
  endpoints: readonly (SocketAddress | undefined)[],
  mode: Mode,
): DeviceChange {
  const change: DeviceChange = {
    replacePeers: mode !== "add",
    peers: config.peers.map((peer, index) => {
      const endpoint = endpoints[index];
      return peerChange(peer.publicKey, {
        ...(peer.presharedKey && { presharedKey: peer.presharedKey }),
        ...(endpoint && { endpoint }),
        ...(peer.persistentKeepalive !== undefined && { persistentKeepalive: peer.persistentKeepalive }),
        replaceAllowedIps: peer.replaceAllowedIps,
        allowedIps: peer.allowedIps,
      });
    }),
  };
  const reset = mode !== "add";
  const privateKey = config.privateKey ?? (reset ? new Uint8Array(KEY_LENGTH) : undefined);
  const listenPort = config.listenPort ?? (reset ? 0 : undefined);
  const fwmark = config.fwmark ?? (reset ? 0 : undefined);
  if (privateKey) change.privateKey = privateKey;
  if (listenPort !== undefined) change.listenPort = listenPort;
  if (fwmark !== undefined) change.fwmark = fwmark;
  return change;
}

/**
 * Narrows a change that replaces all peers down to the difference from what runs, so that sessions of peers that stay
 * live on: peers that are gone are removed first, and keys and intervals that are gone are taken away.
 *
 * @param change As of `toChange` with mode `sync`.
 * @param running What the interface has now.
 */
export function toDifference(change: DeviceChange, running: DeviceState): DeviceChange {
  if (change.peers.length === 0 || running.peers.length === 0) return change;
  const wanted = new Map<string, PeerChange>();
  for (const peer of change.peers) {
    const name = formatHexKey(peer.publicKey);
    // Of a peer that is there twice, wg looks at the first.
    if (!wanted.has(name)) wanted.set(name, peer);
  }
  const removed: PeerChange[] = [];
  const amended = new Map<PeerChange, PeerChange>();
  for (const { publicKey, presharedKey, persistentKeepalive } of running.peers) {
    const peer = wanted.get(formatHexKey(publicKey));
    if (!peer) {
      removed.push(peerChange(publicKey, { remove: true }));
      continue;
    }
    amended.set(peer, {
      ...peer,
      ...(presharedKey && !peer.presharedKey && { presharedKey: new Uint8Array(KEY_LENGTH) }),
      ...(persistentKeepalive !== 0 && peer.persistentKeepalive === undefined && { persistentKeepalive: 0 }),
    });
  }
  const peers = removed.concat(change.peers.map((peer) => amended.get(peer) ?? peer));
  return { ...change, replacePeers: false, peers };
}

/**
 * Makes a file of what an interface has.
 *
 * @param interfaceName Names the interface that a link-local endpoint belongs to.
 */
export function toConfig(state: DeviceState, interfaceName?: InterfaceName): WgConfig {
  return {
    ...(state.privateKey && { privateKey: state.privateKey }),
    ...(state.listenPort !== 0 && { listenPort: state.listenPort }),
    ...(state.fwmark !== 0 && { fwmark: state.fwmark }),
    peers: state.peers.map((peer) => ({
      publicKey: peer.publicKey,
      ...(peer.presharedKey && { presharedKey: peer.presharedKey }),
      ...(peer.endpoint && { endpoint: toEndpointText(peer.endpoint, interfaceName) }),
      ...(peer.persistentKeepalive !== 0 && { persistentKeepalive: peer.persistentKeepalive }),
      replaceAllowedIps: true,
      allowedIps: peer.allowedIps.map((prefix) => ({ remove: false, prefix })),
    })),
  };
}

function toEndpointText(endpoint: SocketAddress, interfaceName?: InterfaceName): EndpointText {
  return {
    text: formatSocketAddress(endpoint, interfaceName),
    host: formatScopedAddress(endpoint, interfaceName),
    port: String(endpoint.port),
  };
}
