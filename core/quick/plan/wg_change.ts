/**
 * The changes of WireGuard settings in a reload.
 *
 * @module
 */

import { parseSocketAddress } from "../../config/endpoint.ts";
import { formatKey } from "../../config/key.ts";
import type { DeviceChange } from "../../uapi/set.ts";
import { type Addresses, type PeerPart, removedPeers, setPeers } from "./peer_changes.ts";
import { isUnchanged, settle, type Sides, type Values, valuesOf } from "./sides.ts";

/** A change and its reasons. */
export interface WgChange {
  readonly change: DeviceChange;
  /** The new names of peers' endpoints, by public key; an empty one removes a peer's name. */
  readonly names: ReadonlyMap<string, string>;
  /** The change as arguments of `wg set`, one line for each part; no line if nothing changes. */
  readonly lines: readonly string[];
  /** The differences of the interface from what the file set before and still sets, as texts. */
  readonly differences: readonly string[];
}

/**
 * The peers whose endpoint must be looked up: those for which the file has a new endpoint, or the interface has none.
 * Other peers keep the address to which they roamed.
 */
export function endpointsToLookUp({ wanted, before, running }: Sides): Set<string> {
  const states = new Map(running.peers.map((peer) => [formatKey(peer.publicKey), peer]));
  const keys = Object.entries(wanted.peers).filter(([key, { endpoint }]) => {
    const isSame = before.length > 0 && before.every(({ peers }) => peers[key]?.endpoint === endpoint);
    return endpoint !== undefined && (!isSame || states.get(key)?.endpoint === undefined);
  });
  return new Set(keys.map(([key]) => key));
}

/** Compares, and returns the change. @param addresses The addresses of endpoints that were looked up. */
export function wgChange(sides: Sides, addresses: Addresses): WgChange {
  const peers = [...removedPeers(sides), ...setPeers(sides, addresses)];
  const device = deviceChange(sides);
  return {
    change: { ...device.change, replacePeers: false, peers: peers.map(({ change }) => change) },
    names: nameChanges(sides, peers),
    lines: [...device.lines, ...peers.map(({ line }) => line)],
    differences: [...device.differences, ...peers.flatMap(({ differences }) => differences)],
  };
}

/** The names that change, and those that the interface forgets because it gets an address. */
function nameChanges(sides: Sides, peers: readonly PeerPart[]): Map<string, string> {
  const { wanted, before, running } = sides;
  const changes = new Map(peers.map(({ change }) => [formatKey(change.publicKey), change]));
  const names = new Map<string, string>();
  for (const { publicKey, endpointName: text } of running.peers) {
    const key = formatKey(publicKey);
    if (changes.get(key)?.remove) continue;
    // The record does not have the addresses of the file.
    const endpointName = text !== undefined && parseSocketAddress(text) ? undefined : text;
    const values = valuesOf(sides, ({ peers }) => peers[key]?.endpointName, endpointName);
    // Without a record, the running values count as the file's.
    const name = before.length === 0 ? values.wanted : settle(values);
    if (name !== (changes.get(key)?.endpoint ? undefined : endpointName)) names.set(key, name ?? "");
  }
  const runs = new Set(running.peers.map(({ publicKey }) => formatKey(publicKey)));
  for (const key of changes.keys()) {
    const name = wanted.peers[key]?.endpointName;
    if (!runs.has(key) && name !== undefined) names.set(key, name);
  }
  return names;
}

function deviceChange(
  sides: Sides,
): { change: Partial<DeviceChange>; lines: string[]; differences: string[] } {
  const { config: { privateKey }, running, hash } = sides;
  const change: Partial<DeviceChange> = {};
  const lines: string[] = [];
  const differences: string[] = [];
  const set = <T>(line: string, values: Values<T>, difference: string) => {
    lines.push(line);
    if (isUnchanged(values)) differences.push(difference);
  };
  const key = valuesOf(sides, (side) => side.privateKey, running.privateKey && hash(running.privateKey));
  const keyWanted = settle(key);
  // A private key that was removed from the file stays, because without a key there is no tunnel, and a hook may set
  // it.
  if (privateKey && keyWanted !== undefined && keyWanted !== key.running) {
    set("private-key (hidden)", key, `its private key is ${key.running ? "another one" : "gone"}`);
    change.privateKey = privateKey;
  }
  const port = valuesOf(sides, (side) => side.listenPort, running.listenPort);
  const listenPort = settle(port) ?? 0;
  if (listenPort !== running.listenPort) {
    set(`listen-port ${listenPort}`, port, `its UDP port is ${running.listenPort}, not ${listenPort}`);
    change.listenPort = listenPort;
  }
  const mark = valuesOf(sides, (side) => side.fwmark, running.fwmark);
  const fwmark = settle(mark) ?? 0;
  if (fwmark !== running.fwmark) {
    set(`fwmark ${fwmark || "off"}`, mark, `its mark is ${running.fwmark || "off"}, not ${fwmark || "off"}`);
    change.fwmark = fwmark;
  }
  return { change, lines, differences };
}
