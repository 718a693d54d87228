/**
 * Checks whether the peers that a `set` adds fit the device, before any of it is applied.
 *
 * @module
 */

import type { Device } from "../../protocol/device.ts";
import type { PeerChange } from "../../uapi/set.ts";

/** Whether a change adds its peer if the peer is not there. */
export function mayAdd({ remove, updateOnly, foundEndpoint }: PeerChange): boolean {
  return !remove && !updateOnly && !foundEndpoint;
}

/**
 * Simulates a list of changes in order. It stores every key, so it is only used if there are nearly too many peers. The
 * interface's own public key, which is not added, is counted like any other.
 */
export class PeerLimit {
  /** Whether there were too many peers at any time. */
  exceeded = false;
  #count: number;
  /** For each peer in a change, whether it exists. */
  readonly #known = new Map<string, boolean>();

  /** @param replacePeers Whether all peers are removed first. */
  constructor(readonly device: Device, readonly replacePeers: boolean) {
    this.#count = replacePeers ? 0 : device.peerCount;
  }

  /** Takes the next change. */
  follow(change: PeerChange): void {
    const name = change.publicKey.toHex();
    const before = this.#known.get(name) ??
      (!this.replacePeers && this.device.peer(change.publicKey) !== undefined);
    const after = change.remove ? false : before || mayAdd(change);
    this.#known.set(name, after);
    this.#count += Number(after) - Number(before);
    if (this.#count > this.device.maxPeers) this.exceeded = true;
  }
}
