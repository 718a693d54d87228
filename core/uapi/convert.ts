/**
 * Conversion between files and changes of interfaces: `setconf`, `addconf`, `syncconf` and `showconf` as functions of
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
import type { DeviceState } from "./get.ts";
import { type DeviceChange, type PeerChange, peerChange } from "./set.ts";

/** How a file is combined with an interface's configuration: it replaces it, adds to it, or updates it. */
export type Mode = "set" | "add" | "sync";

/**
 * Converts a file into a change of an interface.
 *
 * @param config The file.
 * @param endpoints For each peer of the file, where its endpoint is; undefined if it has none.
 * @param mode `set` and `sync` also reset what the file does not name: they remove the private key, turn the mark off, and
 * let the system choose a port.
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
 * Reduces a change that replaces all peers to the difference from the running configuration, so that peers that stay keep
 * their sessions. Peers that are not in the change are removed first; keys and intervals that it lacks are removed.
 *
 * @param change The result of `toChange` with mode `sync`.
 * @param running The interface's present configuration.
 */
export function toDifference(change: DeviceChange, running: DeviceState): DeviceChange {
  if (change.peers.length === 0 || running.peers.length === 0) return change;
  const wanted = new Map<string, PeerChange>();
  for (const peer of change.peers) {
    const name = formatHexKey(peer.publicKey);
    // If a peer occurs twice, wg compares the first.
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
 * Converts an interface's configuration into a file.
 *
 * @param interfaceName Returns the name of the interface of a link-local endpoint.
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
