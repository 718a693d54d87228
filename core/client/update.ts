/**
 * Changes of an interface in a short form for scripts, with text where that is shorter.
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

/** A change of an interface. What is absent stays as it is. */
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
  /** In order; the same peer may come more than once. */
  readonly peers?: readonly PeerUpdate[];
}

/** A change of a peer. What is absent stays as it is. */
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
  /** Networks to add to the peer, as values or as text like `10.0.0.0/24`; `-10.0.0.0/24` removes one from it. */
  readonly allowedIps?: readonly (AllowedIpChange | Prefix | string)[];
}

/**
 * Completes an update.
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
 * @param mode How the configuration is combined with the interface's present one.
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
