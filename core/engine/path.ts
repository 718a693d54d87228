/**
 * The state that outbound.ts and inbound.ts share: the protocol, the packet memory, the TUN device and the sockets.
 *
 * @module
 */

import type { Wasm } from "../../wasm/mod.ts";
import type { Device } from "../protocol/device.ts";
import type { EndpointWords } from "../protocol/endpoint.ts";
import type { Peer } from "../protocol/peer.ts";
import { IcmpErrors } from "../protocol/icmp.ts";
import type { LanePath } from "./lanes/lane_path.ts";
import type { Features } from "./features.ts";
import type { DatagramSocket, PacketDevice } from "./doors.ts";
import { Train, TRAIN_CAPACITY } from "./train.ts";
import { VIRTIO_HEADER } from "../../wasm/packet.ts";

/** MTU of a new interface: 1500 minus the headers of IPv6, UDP and WireGuard (the kernel's device.c, wg_setup). */
export const DEFAULT_MTU = 1_420;
/**
 * Bytes taken from one source per turn, so that it cannot starve the others: eight of the longest trains, which are about
 * half a millisecond of work.
 */
export const BYTES_PER_TURN: number = 8 * 65_536;
/** Bytes of the region for a packet or super-packet from the TUN device. */
export const INNER_CAPACITY = VIRTIO_HEADER + 65_535;
/** Bytes of the region for single messages: an ICMP error with its virtio header is the longest. */
export const MESSAGE_CAPACITY = 2_048;
/** Bytes of the region for received trains. */
export const OUTER_CAPACITY = 65_535;

/**
 * Why the engine dropped a packet. The protocol has its own counters. A super-packet counts as the packets that it
 * would be split into, and a train as its datagrams.
 */
export interface EngineDrops {
  /** Inner packets that are not IP, or whose destination is in no peer's allowed IPs. */
  noPeer: number;
  /** Inner packets whose peer has no endpoint, or one of a family without a socket. */
  noEndpoint: number;
  /** Inner packets with an invalid virtio header; each counts as one. */
  malformedInner: number;
  /** Inner packets that do not fit one UDP datagram. */
  tooBig: number;
  /** Datagrams that the socket refused. */
  sendError: number;
  /** Cookie replies beyond half of the send buffer. */
  cookieUnsent: number;
  /** Datagrams that are not a WireGuard message. */
  malformedOuter: number;
  /** Handshake messages beyond the queue's bound. */
  handshakeQueueFull: number;
  /** Data for an unknown index or an expired key. */
  unknownIndex: number;
  /** Data that is not authentic. */
  badTag: number;
  /** Data whose counter was seen before or is too old. */
  replayed: number;
  /** Authentic packets that are not IP, or are shorter than their header says. */
  malformedOpened: number;
  /** Authentic packets whose source is not one of the peer's allowed IPs. */
  wrongSource: number;
  /** Packets that the TUN device refused. */
  tunError: number;
}

/** The sockets of a tunnel; a machine without IPv6 has only the first. */
interface Sockets {
  v4: DatagramSocket | null;
  v6: DatagramSocket | null;
}

/** The state of the packet path. The engine has one. */
export class PacketPath {
  /** The sockets; none while the interface is down. */
  readonly sockets: Sockets = { v4: null, v6: null };
  /** The interface's MTU, which padding does not exceed (whitepaper §5.4.6). */
  mtu = DEFAULT_MTU;
  /** The protocols of which the TUN device has accepted joined packets: `JOIN_TCP`, `JOIN_UDP`. */
  joined = 0;
  /** Packets lost here, by reason. */
  readonly drops: EngineDrops = {
    noPeer: 0,
    noEndpoint: 0,
    malformedInner: 0,
    tooBig: 0,
    sendError: 0,
    cookieUnsent: 0,
    malformedOuter: 0,
    handshakeQueueFull: 0,
    unknownIndex: 0,
    badTag: 0,
    replayed: 0,
    malformedOpened: 0,
    wrongSource: 0,
    tunError: 0,
  };
  /** When a cookie reply may be sent even if the send buffer is half full: milliseconds on `Now.boot`. */
  nextCookieAt = 0;
  /** Answers to the senders of inner packets that cannot be sent. */
  readonly icmp: IcmpErrors = new IcmpErrors();
  /** Requests a lookup of the name of a peer's endpoint by another thread. */
  lookup: (peer: Peer, name: string) => void = () => {};
  /** The lanes, which encrypt and decrypt packets; null if there are none. */
  lanes: LanePath | null = null;
  /** Region for packets from the TUN device. */
  readonly inner: number;
  /** Region for handshake messages, keepalives and ICMP errors. */
  readonly message: number;
  /** Encrypted datagrams that wait to be sent. */
  readonly train: Train;
  /** Region for received trains, which are decrypted in place. */
  readonly outer: number;

  /** @param join Which packets may be joined for the TUN device: `JOIN_TCP`, `JOIN_UDP`. */
  constructor(
    readonly device: Device,
    readonly wasm: Wasm,
    readonly tun: PacketDevice,
    readonly features: Features,
    public join: number,
  ) {
    const { memory } = wasm;
    this.inner = memory.allocate(INNER_CAPACITY, 64);
    this.message = memory.allocate(MESSAGE_CAPACITY, 64);
    this.train = new Train(memory.allocate(TRAIN_CAPACITY, 64));
    this.outer = memory.allocate(OUTER_CAPACITY, 64);
  }

  /** The socket that reaches an endpoint, or null. */
  socketFor(endpoint: EndpointWords): DatagramSocket | null {
    return endpoint[0] === 6 ? this.sockets.v6 : this.sockets.v4;
  }
}
