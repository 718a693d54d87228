/**
 * The peers of a device, by public key and by number.
 *
 * @module
 */

import { Peer } from "./peer.ts";
import type { StagedPackets } from "./staged.ts";

/** Peers in the order they were added. */
export class PeerTable {
  readonly #byKey = new Map<string, Peer>();
  /** By number, from 1. 0 is no peer, as in the trie of allowed IPs. */
  readonly #byNumber: (Peer | null)[] = [null];
  readonly #freeNumbers: number[] = [];

  /** All peers. */
  get all(): Iterable<Peer> {
    return this.#byKey.values();
  }

  /** How many there are. */
  get size(): number {
    return this.#byKey.size;
  }

  /** The peer with a public key. */
  get(publicKey: Uint8Array): Peer | undefined {
    return this.#byKey.get(keyName(publicKey));
  }

  /** The peer with a number; null for 0. */
  numbered(number: number): Peer | null {
    return this.#byNumber[number]!;
  }

  /** Adds a peer that is not in the table, under an unused number. */
  add(publicKey: Uint8Array, staged: StagedPackets<Peer>): Peer {
    const number = this.#freeNumbers.pop() ?? this.#byNumber.length;
    const peer = new Peer(number, publicKey.slice(), staged);
    this.#byNumber[number] = peer;
    this.#byKey.set(keyName(publicKey), peer);
    return peer;
  }

  /** Removes a peer. Its number may be given to another one. */
  remove(peer: Peer): void {
    this.#byKey.delete(keyName(peer.publicKey));
    this.#byNumber[peer.number] = null;
    this.#freeNumbers.push(peer.number);
  }
}

/** A public key as a map's key. */
function keyName(publicKey: Uint8Array): string {
  // Not spread, because that goes through an iterator and is four times as slow.
  return String.fromCharCode.apply(null, publicKey as unknown as number[]);
}
