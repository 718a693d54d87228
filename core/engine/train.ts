/**
 * Encrypted datagrams that are sent in one call (UDP_SEGMENT). All belong to one session and have the same size and ECN
 * mark, except that the last may be shorter. A super-packet often fills only half of a train, or one train and a part
 * of the next. So a train stays open while the TUN device has more packets. It is sent before the engine does anything
 * else, so that no datagram waits.
 *
 * @module
 */

import type { Sealed } from "../../wasm/mod.ts";
import type { EndpointWords } from "../protocol/endpoint.ts";
import type { Keypair } from "../protocol/keypair.ts";
import { DATA_OVERHEAD } from "../protocol/messages.ts";
import type { Peer } from "../protocol/peer.ts";

/** The largest UDP payload over IPv4: 65,535 bytes less the IP header and the UDP header. */
export const MAX_PAYLOAD4 = 65_507;
/** The largest UDP payload over IPv6, where 65,535 bytes do not include the IP header. */
export const MAX_PAYLOAD6 = 65_527;
/** The kernel's UDP_MAX_SEGMENTS, until 6.9 (linux/udp.h). */
export const MAX_SEGMENTS = 64;

/** Bytes of the region for trains. A train may begin where the last one ended. */
export const TRAIN_CAPACITY: number = 2 * MAX_PAYLOAD6;

/** Datagrams that wait to be sent. The train is empty while `segments` is 0. */
export class Train {
  peer: Peer | null = null;
  keypair: Keypair | null = null;
  /** Its destination. The socket clears the source address if that is no longer a local address. */
  endpoint: EndpointWords | null = null;
  /** Address of the first datagram in packet memory. */
  at: number;
  /** Total number of bytes. */
  length = 0;
  /** Bytes of each datagram but the last. */
  stride = 0;
  segments = 0;
  ecn = 0;
  /** All `Sealed.flags` together. */
  flags = 0;
  /** The largest UDP payload to `endpoint`: a train cannot be longer, and neither can a datagram. */
  #limit = MAX_PAYLOAD4;
  /** Whether the last datagram is shorter, so that none can follow. */
  #closed = false;

  /**
   * @param region Address of the bytes that trains may use.
   * @param capacity How many they are.
   */
  constructor(public region: number, readonly capacity: number = TRAIN_CAPACITY) {
    this.at = region;
  }

  /** Address behind the last datagram. */
  get end(): number {
    return this.at + this.length;
  }

  /** Free bytes after the last datagram, limited by the longest possible train and by the region. */
  get room(): number {
    return Math.min(this.#limit - this.length, this.region + this.capacity - this.end);
  }

  /** The largest inner packet that fits one datagram, in bytes. */
  get largestPacket(): number {
    return this.#limit - DATA_OVERHEAD;
  }

  /** Whether no further datagram fits. */
  get full(): boolean {
    return this.#closed || this.segments === MAX_SEGMENTS || this.stride > this.room;
  }

  /** Whether datagrams that were sealed at `end` can be sent with those that wait. */
  takes({ stride, segments, ecn }: Sealed): boolean {
    return this.segments === 0 ||
      ecn === this.ecn && (stride === this.stride || stride < this.stride && segments === 1);
  }

  /** Begins an empty train at an address of the region. Lanes use this too, so it has no peer. */
  begin(
    peer: Peer | null,
    keypair: Keypair | null,
    endpoint: EndpointWords,
    at: number = this.region,
  ): void {
    this.clear();
    this.peer = peer;
    this.keypair = keypair;
    this.endpoint = endpoint;
    this.at = at;
    this.#limit = endpoint[0] === 6 ? MAX_PAYLOAD6 : MAX_PAYLOAD4;
  }

  /** Adds the datagrams that were sealed at `end`. */
  add({ written, stride, segments, ecn, flags }: Sealed): void {
    if (this.segments === 0) {
      this.stride = stride;
      this.ecn = ecn;
    }
    this.length += written;
    this.segments += segments;
    this.flags |= flags;
    this.#closed = stride < this.stride || written < segments * stride;
  }

  /** Discards all datagrams and the destination. */
  clear(): void {
    this.peer = this.keypair = this.endpoint = null;
    this.at = this.region;
    this.length =
      this.stride =
      this.segments =
      this.ecn =
      this.flags =
        0;
    this.#closed = false;
  }
}
