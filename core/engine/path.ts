/**
 * What the two packet stories ({@link file://./outbound.ts} and {@link file://./inbound.ts}) share: the protocol, the
 * packet memory, the TUN device and the sockets.
 *
 * @module
 */

import type { Wasm } from "../../wasm/mod.ts";
import type { Device } from "../protocol/device.ts";
import type { EndpointWords } from "../protocol/endpoint.ts";
import type { DatagramSocket, PacketDevice, Sockets } from "./seams.ts";

/** Length of the `virtio_net_hdr` in front of every inner packet (linux/virtio_net.h). */
export const VIRTIO_HEADER = 10;

/** The largest packet a TUN device hands over: a TSO super-packet. */
const MAX_PACKET = 65_535;
/** The largest UDP payload over IPv4: 65,535 - 20 - 8; sealed trains stay below it on both families. */
export const MAX_DATAGRAM = 65_507;
/** The kernel's UDP_MAX_SEGMENTS until 6.9 (linux/udp.h). */
export const MAX_SEGMENTS = 64;

/** Bytes of the region that takes in a read from TUN. */
export const INNER_CAPACITY = VIRTIO_HEADER + MAX_PACKET;
/** Bytes of the region that takes in a received train. */
export const OUTER_CAPACITY = 65_536;
/**
 * Bytes of the region for opened packets. An opened packet is 32 bytes smaller than its datagram and gains a virtio
 * header and at most 15 bytes of alignment, so a train always fits; the rest is slack for the first and the last.
 */
export const OPENED_CAPACITY = OUTER_CAPACITY + 4_096;

/** Why the engine, not the protocol, dropped a packet. */
export interface EngineDrops {
  /** Inner packets without a usable destination: not IP, too short, multicast to nobody. */
  noPeer: number;
  /** Inner packets whose peer has no endpoint yet. */
  noEndpoint: number;
  /** Inner packets whose virtio header made no sense. */
  malformedInner: number;
  /** Sealed trains that the socket refused. */
  sendError: number;
  /** Datagrams of no known type, or of a length their type does not have. */
  malformedOuter: number;
  /** Data for an index we do not know or whose key has expired. */
  unknownIndex: number;
  /** Data that failed authentication. */
  badTag: number;
  /** Data whose counter was seen before or is too old. */
  replayed: number;
  /** Authenticated packets that are not IP, or lie about their length. */
  malformedOpened: number;
  /** Authenticated packets whose source is not one of the peer's allowed IPs. */
  wrongSource: number;
  /** Packets the TUN device refused. */
  tunError: number;
  /** Handshake messages beyond the queue's bound. */
  handshakeQueueFull: number;
}

/** The shared state of both stories; the engine loop owns the only one. */
export class PacketPath {
  /** The sockets, empty while the interface is down. */
  readonly sockets: Sockets = { v4: null, v6: null };
  /** The interface's MTU; padding never goes past it (whitepaper §5.4.6). */
  mtu: number;
  /** Whether TCP (2) and UDP (4) packets may be joined for the TUN device, as flags of `openBatch`. */
  join: number;
  /** Packets lost here, by reason. */
  readonly drops: EngineDrops = {
    noPeer: 0,
    noEndpoint: 0,
    malformedInner: 0,
    sendError: 0,
    malformedOuter: 0,
    unknownIndex: 0,
    badTag: 0,
    replayed: 0,
    malformedOpened: 0,
    wrongSource: 0,
    tunError: 0,
    handshakeQueueFull: 0,
  };
  /** Region for what TUN hands over. */
  readonly inner: number;
  /** Region for sealed trains. */
  readonly sealed: number;
  /** Region for received trains. */
  readonly outer: number;
  /** Region for opened packets. */
  readonly opened: number;

  constructor(
    readonly device: Device,
    readonly wasm: Wasm,
    readonly tun: PacketDevice,
    options: { mtu: number; join: number },
  ) {
    this.mtu = options.mtu;
    this.join = options.join;
    const { memory } = wasm;
    this.inner = memory.allocate(INNER_CAPACITY, 64);
    this.sealed = memory.allocate(OUTER_CAPACITY, 64);
    this.outer = memory.allocate(OUTER_CAPACITY, 64);
    this.opened = memory.allocate(OPENED_CAPACITY, 64);
  }

  /** The socket that reaches an endpoint, or null when there is none of its family. */
  socketFor(endpoint: EndpointWords): DatagramSocket | null {
    return endpoint[0] === 6 ? this.sockets.v6 : this.sockets.v4;
  }
}
