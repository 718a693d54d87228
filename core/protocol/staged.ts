/**
 * Packets that wait for a key.
 *
 * @module
 */

import { MAX_STAGED_PACKETS } from "./constants.ts";
import { Drop, type Drops } from "./drops.ts";

/** Bytes that one peer may have waiting. The kernel's 128 packets of 1,420 bytes are less; super-packets are larger. */
export const MAX_STAGED_BYTES = 256 * 1024;
/** Bytes that may wait in all, so that traffic to a thousand dead peers does not fill the memory. */
export const STAGING_BUDGET = 16 * 1024 * 1024;

/** The waiting packets of one peer, oldest first. */
class Queue {
  packets: Uint8Array[] = [];
  bytes = 0;
}

/**
 * The waiting packets of all peers. The oldest make room for the newest, in a peer and, where the common budget is
 * spent, in the peer that has been waiting longest: what is old is of least use to its sender.
 *
 * @typeParam Peer Whom packets wait for.
 */
export class StagedPackets<Peer> {
  /** Peers with waiting packets, in the order in which they began to wait. */
  readonly #queues = new Map<Peer, Queue>();
  readonly #drops: Drops;
  #bytes = 0;

  constructor(drops: Drops) {
    this.#drops = drops;
  }

  /** Bytes that wait in all. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Packets that wait for a peer's key. */
  count(peer: Peer): number {
    return this.#queues.get(peer)?.packets.length ?? 0;
  }

  /** Adds a packet, which is kept, not copied. */
  add(peer: Peer, packet: Uint8Array): void {
    let queue = this.#queues.get(peer);
    if (queue === undefined) this.#queues.set(peer, queue = new Queue());
    queue.packets.push(packet);
    queue.bytes += packet.length;
    this.#bytes += packet.length;
    while (queue.packets.length > MAX_STAGED_PACKETS || queue.bytes > MAX_STAGED_BYTES) {
      this.#dropOldest(peer, queue);
    }
    while (this.#bytes > STAGING_BUDGET) {
      const [longest, waiting] = this.#queues.entries().next().value!;
      this.#dropOldest(longest, waiting);
    }
  }

  /** Takes all packets of a peer, oldest first. */
  take(peer: Peer): Uint8Array[] {
    const queue = this.#queues.get(peer);
    if (queue === undefined) return [];
    this.#queues.delete(peer);
    this.#bytes -= queue.bytes;
    return queue.packets;
  }

  /** Drops all packets of a peer. */
  purge(peer: Peer): void {
    const dropped = this.take(peer).length;
    if (dropped > 0) this.#drops.count(Drop.StagedPurged, dropped);
  }

  #dropOldest(peer: Peer, queue: Queue): void {
    const { length } = queue.packets.shift()!;
    queue.bytes -= length;
    this.#bytes -= length;
    this.#drops.count(Drop.StagedOverflow);
    if (queue.packets.length === 0) this.#queues.delete(peer);
  }
}
