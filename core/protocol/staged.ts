/**
 * Packets that wait for a key.
 *
 * @module
 */

import { MAX_STAGED_PACKETS } from "./constants.ts";
import { Drop, type Drops } from "./drops.ts";

/**
 * Bytes that may wait for one peer. More than the kernel's 128 packets of 1,420 bytes, because super-packets also wait.
 */
export const MAX_STAGED_BYTES = 256 * 1024;
/** Bytes that may wait for all peers, so that traffic to a thousand unreachable peers does not fill the memory. */
export const STAGING_BUDGET = 16 * 1024 * 1024;

/** A packet or super-packet that waits. */
export interface StagedPacket {
  readonly bytes: Uint8Array;
  /** How many packets it becomes. */
  readonly packets: number;
}

/** The waiting packets of one peer, oldest first. */
class Queue {
  packets: StagedPacket[] = [];
  bytes = 0;
}

/**
 * The waiting packets of all peers. If a peer has too many, its oldest are dropped. If all peers together have too
 * many, the oldest of the peer that has waited longest are dropped. Old packets are the least useful to their senders.
 *
 * @typeParam Peer The peer for whose key packets wait.
 */
export class StagedPackets<Peer> {
  /** Peers with waiting packets, in the order in which they began to wait. */
  readonly #queues = new Map<Peer, Queue>();
  readonly #drops: Drops;
  #bytes = 0;

  constructor(drops: Drops) {
    this.#drops = drops;
  }

  /** Total bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Packets that wait for a peer's key. */
  count(peer: Peer): number {
    return this.#queues.get(peer)?.packets.length ?? 0;
  }

  /**
   * Adds a packet.
   *
   * @param bytes Kept, not copied.
   * @param packets How many packets it becomes, if it is a super-packet.
   */
  add(peer: Peer, bytes: Uint8Array, packets = 1): void {
    let queue = this.#queues.get(peer);
    if (queue === undefined) this.#queues.set(peer, queue = new Queue());
    queue.packets.push({ bytes, packets });
    queue.bytes += bytes.length;
    this.#bytes += bytes.length;
    while (queue.packets.length > MAX_STAGED_PACKETS || queue.bytes > MAX_STAGED_BYTES) {
      this.#dropOldest(peer, queue);
    }
    while (this.#bytes > STAGING_BUDGET) {
      const [longest, waiting] = this.#queues.entries().next().value!;
      this.#dropOldest(longest, waiting);
    }
  }

  /** Takes all packets of a peer, oldest first. */
  take(peer: Peer): StagedPacket[] {
    const queue = this.#queues.get(peer);
    if (queue === undefined) return [];
    this.#queues.delete(peer);
    this.#bytes -= queue.bytes;
    return queue.packets;
  }

  /** Drops all packets of a peer. */
  purge(peer: Peer): void {
    for (const { packets } of this.take(peer)) this.#drops.count(Drop.StagedPurged, packets);
  }

  #dropOldest(peer: Peer, queue: Queue): void {
    const { bytes, packets } = queue.packets.shift()!;
    queue.bytes -= bytes.length;
    this.#bytes -= bytes.length;
    this.#drops.count(Drop.StagedOverflow, packets);
    if (queue.packets.length === 0) this.#queues.delete(peer);
  }
}
