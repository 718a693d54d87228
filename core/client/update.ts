/**
 * What a script asks of an interface: little, and as text where that is shorter.
 *
 * @module
 */

import type { SocketAddress } from "../config/endpoint.ts";
import type { Key } from "../config/key.ts";
import type { WgConfig } from "../config/wg_config.ts";
import type { AllowedIpChange, Prefix } from "../config/prefix.ts";
import { readAllowedIps, readEndpoint, readKey } from "../config/values.ts";
import { type Mode, toChange, toDifference } from "../uapi/convert.ts";
import { type DeviceChange, type DeviceState, type PeerChange, peerChange } from "../uapi/format.ts";
import { resolveEndpoint } from "./resolve.ts";

/** What to change of an interface; what is absent stays as it is. */
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

/** What to change of a peer; what is absent stays as it is. */
export interface PeerUpdate {
  /** Which peer, as a key or in base64; made if it is not there. */
  readonly publicKey: Key | string;
  /**
   * Removes the peer; nothing else counts then.
   * @default {false}
   */
  readonly remove?: boolean;
  /**
   * Does nothing if the peer is not there.
   * @default {false}
   */
  readonly updateOnly?: boolean;
  /** All zeros remove the key. */
  readonly presharedKey?: Key;
  /** Where it is to be found; of `host:port`, the host is looked up. */
  readonly endpoint?: SocketAddress | string;
  /** Seconds; 0 is off. */
  readonly persistentKeepalive?: number;
  /**
   * Takes all its allowed IPs away first.
   * @default {false}
   */
  readonly replaceAllowedIps?: boolean;
  /** To give to the peer, whoever had them: networks, or text as `10.0.0.0/24`; `-10.0.0.0/24` takes one from it. */
  readonly allowedIps?: readonly (AllowedIpChange | Prefix | string)[];
}

/**
 * Completes an update.
 *
 * @throws {ValueError} If a text is none of what it stands for, or a host cannot be found.
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
 * Finds what to ask of an interface so that it does what a configuration says; hosts are looked up.
 *
 * @param mode How the configuration meets what the interface has.
 * @param read Reads the interface, if the difference is wanted.
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
