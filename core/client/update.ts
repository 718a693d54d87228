/**
 * Changes of an interface in a short form for scripts, which accepts text.
 *
 * @module
 */

import type { SocketAddress } from "../config/endpoint.ts";
import type { Key } from "../config/key.ts";
import type { WgConfig } from "../config/wg_config.ts";
import type { AllowedIpChange, Prefix } from "../config/prefix.ts";
import { readAllowedIps, readEndpoint, readKey } from "../config/values.ts";
import { type Mode, toChange, toDifference } from "../uapi/convert.ts";
import type { DeviceState } from "../uapi/get.ts";
import { type DeviceChange, type PeerChange, peerChange } from "../uapi/set.ts";
import { resolveEndpoint } from "./resolve.ts";

/** A change of an interface. Absent settings do not change. */
export interface DeviceUpdate {
  /** All zeros remove the key. */
  readonly privateKey?: Key;
  /** 0 lets the system choose a port. */
  readonly listenPort?: number;
  /** 0 is off. */
  readonly fwmark?: number;
  /**
   * Removes every peer first.
   * @default {false}
   */
  readonly replacePeers?: boolean;
  /** They are applied in order. A peer may occur more than once. */
  readonly peers?: readonly PeerUpdate[];
}

/** A change of a peer. Absent settings do not change. */
export interface PeerUpdate {
  /** The peer's key, as bytes or in base64. The peer is added if it does not exist. */
  readonly publicKey: Key | string;
  /**
   * Removes the peer; the rest of the change is ignored.
   * @default {false}
   */
  readonly remove?: boolean;
  /**
   * Does nothing if the peer does not exist.
   * @default {false}
   */
  readonly updateOnly?: boolean;
  /** All zeros remove the key. */
  readonly presharedKey?: Key;
  /** Its endpoint; the host of `host:port` is looked up. */
  readonly endpoint?: SocketAddress | string;
  /** Seconds; 0 is off. */
  readonly persistentKeepalive?: number;
  /**
   * Removes all its allowed IPs first.
   * @default {false}
   */
  readonly replaceAllowedIps?: boolean;
  /** Networks to add to the peer, as values or as text such as `10.0.0.0/24`. `-10.0.0.0/24` removes one. */
  readonly allowedIps?: readonly (AllowedIpChange | Prefix | string)[];
}

/**
 * Converts an update into a change.
 *
 * @throws {ValueError} If a text is invalid, or a host cannot be found.
 */
export async function completeUpdate({ peers = [], ...update }: DeviceUpdate): Promise<DeviceChange> {
  return { replacePeers: false, ...update, peers: await Promise.all(peers.map(completePeer)) };
}

async function completePeer(
  { publicKey, endpoint, allowedIps = [], ...peer }: PeerUpdate,
): Promise<PeerChange> {
  return peerChange(typeof publicKey === "string" ? readKey(publicKey) : publicKey, {
    ...peer,
    ...(endpoint !== undefined && {
      endpoint: typeof endpoint === "string" ? await resolveEndpoint(readEndpoint(endpoint)) : endpoint,
    }),
    allowedIps: allowedIps.flatMap((one) => {
      if (typeof one === "string") return readAllowedIps(one, () => {}).changes;
      return "prefix" in one ? one : { remove: false, prefix: one };
    }),
  });
}

/**
 * Converts a configuration into a change of an interface; hosts are looked up.
 *
 * @param mode How the configuration is combined with the interface's current one.
 * @param read Reads the interface; called for mode `sync`.
 * @throws {ValueError} If a host cannot be found.
 */
export async function configurationChange(
  config: WgConfig,
  mode: Mode,
  read: () => Promise<DeviceState>,
): Promise<DeviceChange> {
  const endpoints = await Promise.all(
    config.peers.map(({ endpoint }) => endpoint && resolveEndpoint(endpoint)),
  );
  const change = toChange(config, endpoints, mode);
  return mode === "sync" ? toDifference(change, await read()) : change;
}
