/**
 * `set` as text and as values: a change of an interface (https://www.wireguard.com/xplatform/).
 *
 * A `set` is read completely before any of it is applied, so that it can be refused as a whole.
 *
 * @module
 */

import {
  formatSocketAddress,
  type InterfaceIndex,
  type InterfaceName,
  parseSocketAddress,
  type SocketAddress,
  splitEndpoint,
} from "../config/endpoint.ts";
import { formatHexKey, type Key, KEY_LENGTH, parseHexKey, secretBytes } from "../config/key.ts";
import { parseDecimal } from "../config/number.ts";
import { type AllowedIpChange, formatPrefix, parsePrefix } from "../config/prefix.ts";
import { Errno } from "./errno.ts";
import { describe, forEachLine, inChunks, parseErrno, UapiError, understood } from "./lines.ts";

/** A change of an interface, as `set` requests it. Absent settings do not change. */
export interface DeviceChange {
  /** All zeros remove the key. */
  privateKey?: Key;
  /** 0 lets the system choose a port. */
  listenPort?: number;
  /** 0 is off. */
  fwmark?: number;
  /** Removes every peer first. */
  replacePeers: boolean;
  /** They are applied in order. A peer may occur more than once. */
  peers: PeerChange[];
}

/** A change of a peer, as `set` requests it. Absent settings do not change. */
export interface PeerChange {
  /** The peer's key. The peer is added if it does not exist. */
  publicKey: Key;
  /** Removes the peer; the rest of the change is ignored. */
  remove: boolean;
  /** Does nothing if the peer does not exist. */
  updateOnly: boolean;
  /** All zeros remove the key. */
  presharedKey?: Key;
  /** Its endpoint. This removes its endpoint name. */
  endpoint?: SocketAddress;
  /** `host:port` to look up when the peer stops answering; empty for none. Only wgd has this. */
  endpointName?: string;
  /** The present address of that name, used if the peer still does not answer. The rest of the change is ignored. */
  foundEndpoint?: SocketAddress;
  /** Seconds; 0 is off. */
  persistentKeepalive?: number;
  /** Removes all its allowed IPs first. */
  replaceAllowedIps: boolean;
  /** Networks to add to the peer, or to remove from it. */
  allowedIps: AllowedIpChange[];
}

/** Makes a change of a peer; without `change`, one that changes nothing. */
export function peerChange(publicKey: Key, change: Partial<PeerChange> = {}): PeerChange {
  return { publicKey, remove: false, updateOnly: false, replaceAllowedIps: false, allowedIps: [], ...change };
}

/**
 * Reads the lines of a `set`, those after `set=1`, up to an empty line or the end.
 *
 * @param interfaceIndex Resolves scopes of link-local endpoints that are given by name, as `wg` gives them.
 * @param take Called with each peer's change when it is complete; by default they are collected in the result.
 * @throws {UapiError} `EPROTO` for a line without `=`, `EINVAL` for anything else. The keys that were read are erased.
 */
export function parseSet(
  lines: string,
  interfaceIndex?: InterfaceIndex,
  take?: (peer: PeerChange) => void,
): DeviceChange {
  const change: DeviceChange = { replacePeers: false, peers: [] };
  take ??= (peer) => change.peers.push(peer);
  let peer: PeerChange | undefined;
  try {
    forEachLine(lines, (key, value) => {
      if (key === "public_key") {
        if (peer) take(peer);
        peer = peerChange(required(parseHexKey(value), key, value));
      } else if (peer) {
        readPeerChange(peer, key, value, interfaceIndex);
      } else {
        readDeviceChange(change, key, value);
      }
    });
  } catch (error) {
    // Only this function knows them: they are not returned.
    for (const { presharedKey } of change.peers) presharedKey?.fill(0);
    peer?.presharedKey?.fill(0);
    change.privateKey?.fill(0);
    throw error;
  }
  if (peer) take(peer);
  return change;
}

function readDeviceChange(change: DeviceChange, key: string, value: string): void {
  switch (key) {
    case "private_key":
      change.privateKey?.fill(0);
      change.privateKey = readSecret(key, value);
      break;
    case "listen_port":
      change.listenPort = required(parseDecimal(value, 0xffff), key, value);
      break;
    case "fwmark":
      change.fwmark = required(parseDecimal(value, 0xffffffff), key, value);
      break;
    case "replace_peers":
      change.replacePeers = isTrue(key, value);
      break;
    default:
      throw new UapiError(Errno.EINVAL, `unknown key "${key}" for an interface`);
  }
}

function readPeerChange(peer: PeerChange, key: string, value: string, interfaceIndex?: InterfaceIndex): void {
  switch (key) {
    case "allowed_ip":
      peer.allowedIps.push(readAllowedIpChange(key, value));
      break;
    case "preshared_key":
      peer.presharedKey?.fill(0);
      peer.presharedKey = readSecret(key, value);
      break;
    case "endpoint":
      peer.endpoint = required(parseSocketAddress(value, interfaceIndex), key, value);
      break;
    case "endpoint_name":
      peer.endpointName = required(isEndpointName(value) ? value : null, key, value);
      break;
    case "found_endpoint":
      peer.foundEndpoint = required(parseSocketAddress(value, interfaceIndex), key, value);
      break;
    case "persistent_keepalive_interval":
      peer.persistentKeepalive = required(parseDecimal(value, 0xffff), key, value);
      break;
    case "replace_allowed_ips":
      // It also removes those before it in this block.
      peer.replaceAllowedIps = isTrue(key, value);
      peer.allowedIps.length = 0;
      break;
    case "remove":
      peer.remove = isTrue(key, value);
      break;
    case "update_only":
      peer.updateOnly = isTrue(key, value);
      break;
    case "protocol_version":
      if (value !== "1") throw invalid(key, value);
      break;
    default:
      throw new UapiError(Errno.EINVAL, `unknown key "${key}" for a peer`);
  }
}

function readSecret(key: string, value: string): Key {
  return required(parseHexKey(value, secretBytes(KEY_LENGTH)), key, value);
}

function readAllowedIpChange(key: string, value: string): AllowedIpChange {
  const remove = value.startsWith("-");
  const text = remove ? value.slice(1) : value;
  // A bare address is valid in files, but not in the protocol.
  if (!text.includes("/")) throw invalid(key, value);
  return { remove, prefix: required(parsePrefix(text), key, value) };
}

/**
 * Writes a whole `set` request, from `set=1` to the empty line, in `wg`'s order.
 *
 * @param interfaceName Names the scopes of link-local endpoints, as `wg` does; without it they are numbers.
 * @returns Chunks of some ten kilobytes.
 */
export function formatSet(change: DeviceChange, interfaceName?: InterfaceName): Generator<string, void> {
  return inChunks(setLines(change, interfaceName));
}

function* setLines(change: DeviceChange, interfaceName?: InterfaceName): Generator<string, void> {
  yield "set=1\n";
  if (change.privateKey) yield `private_key=${formatHexKey(change.privateKey)}\n`;
  if (change.listenPort !== undefined) yield `listen_port=${change.listenPort}\n`;
  if (change.fwmark !== undefined) yield `fwmark=${change.fwmark}\n`;
  if (change.replacePeers) yield "replace_peers=true\n";
  for (const peer of change.peers) {
    yield `public_key=${formatHexKey(peer.publicKey)}\n`;
    if (peer.remove) {
      yield "remove=true\n";
      continue;
    }
    if (peer.updateOnly) yield "update_only=true\n";
    if (peer.presharedKey) yield `preshared_key=${formatHexKey(peer.presharedKey)}\n`;
    if (peer.endpoint) yield `endpoint=${formatSocketAddress(peer.endpoint, interfaceName)}\n`;
    if (peer.endpointName !== undefined) yield `endpoint_name=${peer.endpointName}\n`;
    if (peer.foundEndpoint) {
      yield `found_endpoint=${formatSocketAddress(peer.foundEndpoint, interfaceName)}\n`;
    }
    if (peer.persistentKeepalive !== undefined) {
      yield `persistent_keepalive_interval=${peer.persistentKeepalive}\n`;
    }
    if (peer.replaceAllowedIps) yield "replace_allowed_ips=true\n";
    for (const { remove, prefix } of peer.allowedIps) {
      yield `allowed_ip=${remove ? "-" : ""}${formatPrefix(prefix)}\n`;
    }
  }
  yield "\n";
}

/**
 * Reads a reply to `set=1`.
 *
 * @returns 0, or the positive errno that it reports; `EPROTO` if it is not such a reply.
 */
export function parseSetReply(text: string): number {
  let errno: number | null = null;
  let ended = false;
  try {
    ended = forEachLine(text, (key, value) => {
      if (key === "errno") errno = understood(parseErrno(value), key, value);
    });
  } catch (error) {
    if (!(error instanceof UapiError)) throw error;
    return Errno.EPROTO;
  }
  return ended && errno !== null ? errno : Errno.EPROTO;
}

/** A host name has up to 253 characters (RFC 1035), and a service name is short. */
const MAX_ENDPOINT_NAME = 300;

/** Whether a text is empty, or `host:port` without blanks and control characters. */
function isEndpointName(text: string): boolean {
  return text === "" ||
    text.length <= MAX_ENDPOINT_NAME && /^[^\s\p{C}]+$/u.test(text) &&
      typeof splitEndpoint(text) === "object";
}

function isTrue(key: string, value: string): true {
  if (value !== "true") throw invalid(key, value);
  return true;
}

/** Requires a value of a request to be valid. */
function required<T>(value: T | null, key: string, text: string): T {
  if (value === null) throw invalid(key, text);
  return value;
}

function invalid(key: string, value: string): UapiError {
  return new UapiError(Errno.EINVAL, `cannot accept ${describe(key, value)}`);
}
