/**
 * A running interface as JSON. Programs depend on it: fields may be added, but none may change its meaning or be
 * removed.
 *
 * @module
 */

import type { InterfaceBackend } from "../config/backend.ts";
import { formatSocketAddress, type InterfaceName } from "../config/endpoint.ts";
import { formatKey, type Key } from "../config/key.ts";
import { formatPrefix } from "../config/prefix.ts";
import type { Diagnostics } from "../uapi/diagnostics.ts";
import type { DeviceState, PeerState } from "../uapi/get.ts";

/** What `wgd show --json` prints. */
export interface ShowJson {
  /** The requested interfaces, in the order of `wgd show`. */
  interfaces: InterfaceJson[];
}

/** One interface. */
export interface InterfaceJson {
  /** Its name. */
  name: string;
  /** Its implementation: the kernel, a process of wgd, or another program's process. */
  backend: InterfaceBackend;
  /** In base64; null if it has no private key. */
  publicKey: string | null;
  /** In base64; null if there is none. Present only if secrets are requested. */
  privateKey?: string | null;
  /** UDP port; null if none is bound. */
  listenPort: number | null;
  /** Mark of its packets; null if it has none. */
  fwmark: number | null;
  /** In the device's order. */
  peers: PeerJson[];
  /** What wgd's process reports about itself; null if it is not wgd. Present only if requested. */
  diagnostics?: Diagnostics | null;
}

/** One peer. */
export interface PeerJson {
  /** In base64. */
  publicKey: string;
  /** From `# Name = …` in the interface's file; null if it has none. */
  name: string | null;
  /** In base64; null if there is none. Present only if secrets are requested. */
  presharedKey?: string | null;
  /** Whether it has a preshared key. */
  hasPresharedKey: boolean;
  /** Such as `192.0.2.1:51820` or `[fd00::1]:51820`; null if it is not known. */
  endpoint: string | null;
  /** Networks with their prefix lengths. */
  allowedIps: string[];
  /** Seconds since 1970; null if there was no handshake yet. */
  latestHandshake: number | null;
  /** Bytes received in UDP payloads. */
  rxBytes: number;
  /** Bytes sent in UDP payloads. */
  txBytes: number;
  /** Seconds; null if it is off. */
  persistentKeepalive: number | null;
}

/** What the JSON contains besides the interface's state. */
export interface JsonOptions {
  /** The implementation of the interface. */
  readonly backend: InterfaceBackend;
  /** Its public key, if it has a private one. */
  readonly publicKey: Key | undefined;
  /** Names of peers by their public keys in base64. */
  readonly names: ReadonlyMap<string, string>;
  /** Whether private and preshared keys are included. */
  readonly secrets: boolean;
  /** Returns the name of the interface of a link-local endpoint. */
  readonly interfaceName: InterfaceName;
  /** What wgd's process reports about itself. */
  readonly diagnostics?: Diagnostics | null;
}

/** Makes the JSON of one interface. */
export function interfaceJson(name: string, state: DeviceState, options: JsonOptions): InterfaceJson {
  return {
    name,
    backend: options.backend,
    publicKey: options.publicKey ? formatKey(options.publicKey) : null,
    ...(options.secrets && { privateKey: state.privateKey ? formatKey(state.privateKey) : null }),
    listenPort: state.listenPort || null,
    fwmark: state.fwmark || null,
    peers: state.peers.map((peer) => peerJson(peer, options)),
    ...(options.diagnostics !== undefined && { diagnostics: options.diagnostics }),
  };
}

/** Makes the JSON of one peer. */
export function peerJson(
  peer: PeerState,
  { names, secrets, interfaceName }: Pick<JsonOptions, "names" | "secrets" | "interfaceName">,
): PeerJson {
  const publicKey = formatKey(peer.publicKey);
  return {
    publicKey,
    name: names.get(publicKey) ?? null,
    ...(secrets && { presharedKey: peer.presharedKey ? formatKey(peer.presharedKey) : null }),
    hasPresharedKey: peer.presharedKey !== undefined,
    endpoint: peer.endpoint ? formatSocketAddress(peer.endpoint, interfaceName) : null,
    allowedIps: peer.allowedIps.map(formatPrefix),
    latestHandshake: peer.lastHandshake.seconds || null,
    rxBytes: peer.rxBytes,
    txBytes: peer.txBytes,
    persistentKeepalive: peer.persistentKeepalive || null,
  };
}
