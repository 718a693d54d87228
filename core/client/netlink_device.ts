/**
 * The requests and answers of the kernel's WireGuard: generic netlink as in linux/wireguard.h, converted to and from the
 * values that a control socket uses.
 *
 * The size of a message is limited, so a big change takes several. The first has the keys of the interface. If the
 * allowed IPs of a peer do not fit, they continue in the next message, which names the peer again. Dumps have the same
 * form.
 *
 * @module
 */

import {
  AF_INET,
  AF_INET6,
  GENLMSGHDR,
  IFNAMSIZ,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_REQUEST,
  SOCKADDR_IN,
  SOCKADDR_IN6,
  WG_CMD_GET_DEVICE,
  WG_CMD_SET_DEVICE,
  WG_GENL_VERSION,
  WGALLOWEDIP_A_CIDR_MASK,
  WGALLOWEDIP_A_FAMILY,
  WGALLOWEDIP_A_FLAGS,
  WGALLOWEDIP_A_IPADDR,
  WGALLOWEDIP_F_REMOVE_ME,
  WGDEVICE_A_FLAGS,
  WGDEVICE_A_FWMARK,
  WGDEVICE_A_IFNAME,
  WGDEVICE_A_LISTEN_PORT,
  WGDEVICE_A_PEERS,
  WGDEVICE_A_PRIVATE_KEY,
  WGDEVICE_F_REPLACE_PEERS,
  WGPEER_A_ALLOWEDIPS,
  WGPEER_A_ENDPOINT,
  WGPEER_A_FLAGS,
  WGPEER_A_LAST_HANDSHAKE_TIME,
  WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL,
  WGPEER_A_PRESHARED_KEY,
  WGPEER_A_PUBLIC_KEY,
  WGPEER_A_RX_BYTES,
  WGPEER_A_TX_BYTES,
  WGPEER_F_REMOVE_ME,
  WGPEER_F_REPLACE_ALLOWEDIPS,
  WGPEER_F_UPDATE_ONLY,
} from "../../ffi/linux/constants.ts";
import type { SocketAddress } from "../config/endpoint.ts";
import { isZeroKey, KEY_LENGTH } from "../config/key.ts";
import { type AllowedIpChange, makePrefix, type Prefix } from "../config/prefix.ts";
import { Errno } from "../uapi/errno.ts";
import type { DeviceState, PeerState } from "../uapi/get.ts";
import { UapiError } from "../uapi/lines.ts";
import type { DeviceChange, PeerChange } from "../uapi/set.ts";
import {
  type Attribute,
  attributes,
  attributeSize,
  genericHeader,
  MessageWriter,
  viewOf,
} from "./netlink.ts";

/** The most bytes of our messages: less than an attribute can hold (65,535) and than a socket's send buffer. */
const CAPACITY = 32_768;
/** The most bytes of a peer without its allowed IPs. */
const PEER_SIZE = attributeSize(0) + 2 * attributeSize(KEY_LENGTH) + attributeSize(4) +
  attributeSize(SOCKADDR_IN6.size) + attributeSize(2) + attributeSize(0);
/** The most bytes of an allowed IP. */
const ALLOWED_IP_SIZE = attributeSize(0) + attributeSize(2) + attributeSize(16) + attributeSize(1) +
  attributeSize(4);
/** struct __kernel_timespec */
const TIMESPEC = { seconds: 0, nanoseconds: 8, size: 16 };

/**
 * Writes the request for everything about an interface.
 *
 * @param family The number of the family "wireguard".
 * @param name Name of the interface.
 * @throws {UapiError} `EINVAL` if the name is too long for an interface.
 */
export function formatGetDevice(family: number, name: string): Uint8Array<ArrayBuffer> {
  const message = begin(family, WG_CMD_GET_DEVICE, NLM_F_REQUEST | NLM_F_DUMP, name);
  return message.finish();
}

/**
 * Writes a change of an interface as messages. They must be sent in order, each after the acknowledgement of the one
 * before.
 *
 * @param family The number of the family "wireguard".
 * @param name Name of the interface.
 * @throws {UapiError} `EINVAL` if the name is too long for an interface.
 */
export function* formatSetDevice(
  family: number,
  name: string,
  change: DeviceChange,
): Generator<Uint8Array<ArrayBuffer>, void> {
  const next = () => begin(family, WG_CMD_SET_DEVICE, NLM_F_REQUEST | NLM_F_ACK, name);
  let message = next();
  if (change.privateKey) message.bytes(WGDEVICE_A_PRIVATE_KEY, change.privateKey);
  if (change.listenPort !== undefined) message.u16(WGDEVICE_A_LISTEN_PORT, change.listenPort);
  if (change.fwmark !== undefined) message.u32(WGDEVICE_A_FWMARK, change.fwmark);
  if (change.replacePeers) message.u32(WGDEVICE_A_FLAGS, WGDEVICE_F_REPLACE_PEERS);
  let peers = message.begin(WGDEVICE_A_PEERS);
  for (const peer of change.peers) {
    const allowedIps = peer.remove ? [] : peer.allowedIps;
    let at = 0;
    do {
      if (message.length + PEER_SIZE + ALLOWED_IP_SIZE > CAPACITY) {
        message.end(peers);
        yield message.finish();
        message = next();
        peers = message.begin(WGDEVICE_A_PEERS);
      }
      at = writePeer(message, peer, allowedIps, at);
    } while (at < allowedIps.length);
  }
  message.end(peers);
  yield message.finish();
}

/**
 * Writes a peer and as many of its allowed IPs as fit.
 *
 * @param from How many of its allowed IPs are in earlier messages; if any, so is the rest of the peer.
 * @returns How many of its allowed IPs have been written.
 */
function writePeer(
  message: MessageWriter,
  peer: PeerChange,
  allowedIps: readonly AllowedIpChange[],
  from: number,
): number {
  const nest = message.begin(0);
  message.bytes(WGPEER_A_PUBLIC_KEY, peer.publicKey);
  // Repeated for the rest: it must not create a peer that the first part did not find.
  let flags = peer.updateOnly ? WGPEER_F_UPDATE_ONLY : 0;
  if (peer.remove) {
    flags |= WGPEER_F_REMOVE_ME;
  } else if (from === 0) {
    if (peer.replaceAllowedIps) flags |= WGPEER_F_REPLACE_ALLOWEDIPS;
    if (peer.presharedKey) message.bytes(WGPEER_A_PRESHARED_KEY, peer.presharedKey);
    if (peer.endpoint) message.bytes(WGPEER_A_ENDPOINT, formatEndpoint(peer.endpoint));
    if (peer.persistentKeepalive !== undefined) {
      message.u16(WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, peer.persistentKeepalive);
    }
  }
  if (flags !== 0) message.u32(WGPEER_A_FLAGS, flags);
  let at = from;
  if (allowedIps.length > 0) {
    const list = message.begin(WGPEER_A_ALLOWEDIPS);
    while (at < allowedIps.length && message.length + ALLOWED_IP_SIZE <= CAPACITY) {
      writeAllowedIp(message, allowedIps[at++]!);
    }
    message.end(list);
  }
  message.end(nest);
  return at;
}

function writeAllowedIp(message: MessageWriter, { remove, prefix }: AllowedIpChange): void {
  const nest = message.begin(0);
  message.u16(WGALLOWEDIP_A_FAMILY, prefix.family === 4 ? AF_INET : AF_INET6);
  message.bytes(WGALLOWEDIP_A_IPADDR, prefix.address);
  message.u8(WGALLOWEDIP_A_CIDR_MASK, prefix.length);
  // Kernels before 6.16 do not know this attribute and refuse it; they do not add what was to be removed.
  if (remove) message.u32(WGALLOWEDIP_A_FLAGS, WGALLOWEDIP_F_REMOVE_ME);
  message.end(nest);
}

function begin(family: number, command: number, flags: number, name: string): MessageWriter {
  const message = new MessageWriter(CAPACITY, family, flags, genericHeader(command, WG_GENL_VERSION));
  message.bytes(WGDEVICE_A_IFNAME, nameBytes(name));
  return message;
}

/**
 * The name of an interface with the zero that ends it.
 *
 * @throws {UapiError} `EINVAL`, as the kernel would say, if it is too long.
 */
export function nameBytes(name: string): Uint8Array {
  const value = new TextEncoder().encode(`${name}\0`);
  if (value.length > IFNAMSIZ) {
    throw new UapiError(
      Errno.EINVAL,
      `"${name.slice(0, IFNAMSIZ)}" is too long for the name of an interface`,
    );
  }
  return value;
}

/**
 * Reads one message of a dump and adds it to the state of the earlier ones.
 *
 * @param payload The bytes after the netlink header.
 * @throws {UapiError} `EPROTO` if it is invalid. Unknown attributes are ignored.
 */
export function readDevice(state: DeviceState, payload: Uint8Array): void {
  for (const attribute of attributes(payload.subarray(GENLMSGHDR.size))) {
    switch (attribute.type) {
      case WGDEVICE_A_PRIVATE_KEY: {
        const key = attribute.bytes(KEY_LENGTH);
        if (!isZeroKey(key)) state.privateKey = key;
        break;
      }
      case WGDEVICE_A_LISTEN_PORT:
        state.listenPort = attribute.u16();
        break;
      case WGDEVICE_A_FWMARK:
        state.fwmark = attribute.u32();
        break;
      case WGDEVICE_A_PEERS:
        for (const { value } of attributes(attribute.value)) addPeer(state.peers, readPeer(value));
    }
  }
}

/** If a peer did not fit into one message, the next one continues it: its allowed IPs belong to the peer before. */
function addPeer(peers: PeerState[], peer: PeerState): void {
  const last = peers.at(-1);
  if (last && last.publicKey.every((byte, i) => byte === peer.publicKey[i])) {
    for (const prefix of peer.allowedIps) last.allowedIps.push(prefix);
  } else {
    peers.push(peer);
  }
}

function readPeer(bytes: Uint8Array): PeerState {
  let publicKey: Uint8Array | undefined;
  const peer: Omit<PeerState, "publicKey"> = {
    lastHandshake: { seconds: 0, nanoseconds: 0 },
    txBytes: 0,
    rxBytes: 0,
    persistentKeepalive: 0,
    allowedIps: [],
  };
  for (const attribute of attributes(bytes)) {
    if (attribute.type === WGPEER_A_PUBLIC_KEY) publicKey = attribute.bytes(KEY_LENGTH);
    else readPeerAttribute(peer, attribute);
  }
  if (!publicKey) throw new UapiError(Errno.EPROTO, "the kernel's answer has a peer without a public key");
  return { publicKey, ...peer };
}

function readPeerAttribute(peer: Omit<PeerState, "publicKey">, attribute: Attribute): void {
  switch (attribute.type) {
    case WGPEER_A_PRESHARED_KEY: {
      const key = attribute.bytes(KEY_LENGTH);
      if (!isZeroKey(key)) peer.presharedKey = key;
      break;
    }
    case WGPEER_A_ENDPOINT: {
      const endpoint = readEndpoint(attribute);
      if (endpoint) peer.endpoint = endpoint;
      break;
    }
    case WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL:
      peer.persistentKeepalive = attribute.u16();
      break;
    case WGPEER_A_LAST_HANDSHAKE_TIME: {
      const view = viewOf(attribute.bytes(TIMESPEC.size));
      peer.lastHandshake = {
        seconds: Number(view.getBigInt64(TIMESPEC.seconds, true)),
        nanoseconds: Number(view.getBigInt64(TIMESPEC.nanoseconds, true)),
      };
      break;
    }
    case WGPEER_A_RX_BYTES:
      peer.rxBytes = attribute.u64();
      break;
    case WGPEER_A_TX_BYTES:
      peer.txBytes = attribute.u64();
      break;
    case WGPEER_A_ALLOWEDIPS:
      for (const { value } of attributes(attribute.value)) peer.allowedIps.push(readAllowedIp(value));
  }
}

function readAllowedIp(bytes: Uint8Array): Prefix {
  let family = 0;
  let address: Uint8Array | undefined;
  let length = -1;
  for (const attribute of attributes(bytes)) {
    if (attribute.type === WGALLOWEDIP_A_FAMILY) family = attribute.u16();
    else if (attribute.type === WGALLOWEDIP_A_IPADDR) address = attribute.value.slice();
    else if (attribute.type === WGALLOWEDIP_A_CIDR_MASK) length = attribute.u8();
  }
  const size = family === AF_INET ? 4 : family === AF_INET6 ? 16 : 0;
  if (size === 0 || address?.length !== size || length < 0 || length > size * 8) {
    throw new UapiError(Errno.EPROTO, "the kernel's answer has an invalid allowed IP");
  }
  return makePrefix(address, length);
}

/** struct sockaddr_in or sockaddr_in6; the port is in network byte order, all else in the machine's. */
function formatEndpoint({ family, address, port, scope }: SocketAddress): Uint8Array {
  const layout = family === 4 ? SOCKADDR_IN : SOCKADDR_IN6;
  const bytes = new Uint8Array(layout.size);
  const view = viewOf(bytes);
  view.setUint16(layout.family, family === 4 ? AF_INET : AF_INET6, true);
  view.setUint16(layout.port, port);
  bytes.set(address, layout.address);
  if (family === 6) view.setUint32(SOCKADDR_IN6.scope, scope, true);
  return bytes;
}

function readEndpoint(attribute: Attribute): SocketAddress | undefined {
  const { value } = attribute;
  const family = value.length < 2 ? 0 : viewOf(value).getUint16(0, true);
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  const layout = family === AF_INET ? SOCKADDR_IN : SOCKADDR_IN6;
  const bytes = attribute.bytes(layout.size);
  const view = viewOf(bytes);
  const port = view.getUint16(layout.port);
  const address = bytes.slice(layout.address, layout.address + (family === AF_INET ? 4 : 16));
  if (family === AF_INET) return { family: 4, address, port, scope: 0 };
  return { family: 6, address, port, scope: view.getUint32(SOCKADDR_IN6.scope, true) };
}
