/**
 * Datagrams that have been sealed and go out in one call (UDP_SEGMENT): all of one session, one size and one ECN mark, but
 * for the last one, which may be shorter.
 *
 * A super-packet seldom fills a train, or fills it and leaves two datagrams over. So a train stays open while the TUN
 * device has more to give, and it never waits for anything: it leaves before the engine does anything else.
 *
 * @module
 */

import type { Sealed } from "../../wasm/mod.ts";
import type { EndpointWords } from "../protocol/endpoint.ts";
import type { Keypair } from "../protocol/keypair.ts";
import type { Peer } from "../protocol/peer.ts";

/** The largest UDP payload over IPv4: 65,535 - 20 - 8. Trains stay below it on both families. */
export const MAX_TRAIN = 65_507;
/** The kernel's UDP_MAX_SEGMENTS, until 6.9 (linux/udp.h). */
export const MAX_SEGMENTS = 64;

/** Bytes of the region for a train: one may begin where the one before it ended. */
export const TRAIN_CAPACITY: number = 2 * MAX_TRAIN;

/** What waits to be sent; nothing while `segments` is 0. */
export class Train {
  peer: Peer | null = null;
  keypair: Keypair | null = null;
  /** Where it goes. The socket forgets the source in it when that is no longer ours. */
  endpoint: EndpointWords | null = null;
  /** Address of the first datagram in packet memory. */
  at: number;
  /** Bytes in all. */
  length = 0;
  /** Bytes of each datagram but the last. */
  stride = 0;
  segments = 0;
  ecn = 0;
  /** What `Sealed.flags` said, all together. */
  flags = 0;
  /** Whether the last datagram is shorter: none can follow. */
  #closed = false;

  /** @param region Address of `TRAIN_CAPACITY` bytes. */
  constructor(readonly region: number) {
    this.at = region;
  }

  /** Address behind the last datagram. */
  get end(): number {
    return this.at + this.length;
  }

  /** Bytes free behind the last datagram: to the end of the longest train, and of the region. */
  get room(): number {
    return Math.min(MAX_TRAIN - this.length, this.region + TRAIN_CAPACITY - this.end);
  }

  /** Whether no datagram fits any more. */
  get full(): boolean {
    return this.#closed || this.segments === MAX_SEGMENTS || this.stride > this.room;
  }

  /** Whether datagrams that were sealed at `end` can go with those that wait. */
  takes({ stride, segments, ecn }: Sealed): boolean {
    return this.segments === 0 ||
      ecn === this.ecn && (stride === this.stride || stride < this.stride && segments === 1);
  }

  /** Takes in what was sealed at `end`. */
  add(peer: Peer, keypair: Keypair, endpoint: EndpointWords, sealed: Sealed): void {
    const { written, stride, segments, ecn, flags } = sealed;
    if (this.segments === 0) {
      this.peer = peer;
      this.keypair = keypair;
      this.endpoint = endpoint;
      this.stride = stride;
      this.ecn = ecn;
    }
    this.length += written;
    this.segments += segments;
    this.flags |= flags;
    this.#closed = stride < this.stride || written < segments * stride;
  }

  /** Begins anew at an address of the region. */
  clear(at: number = this.region): void {
    this.peer = this.keypair = this.endpoint = null;
    this.at = at;
    this.length =
      this.stride =
      this.segments =
      this.ecn =
      this.flags =
        0;
    this.#closed = false;
  }
}
