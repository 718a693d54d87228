/**
 * Setting all peers of an interface, in slices.
 *
 * @module
 */

import { equalBytes, formatKey, isZeroKey } from "../../config/key.ts";
import { formatPrefix } from "../../config/prefix.ts";
import type { PeerState } from "../../uapi/get.ts";
import { type PeerChange, peerChange } from "../../uapi/set.ts";

/** An attempt to set all peers of an interface. Changes that others make meanwhile are newer, so they stay. */
export class PeerSetting {
  static #last = Date.now();
  /** Its number. It differs from those of all earlier and later keepers. */
  readonly attempt: number = ++PeerSetting.#last;
  /** Peers that existed at the beginning and have not been changed since, by public key. */
  readonly #untouched: Map<string, PeerState>;

  /** @param running The interface's peers. */
  constructor(running: readonly PeerState[]) {
    this.#untouched = new Map(running.map((peer) => [formatKey(peer.publicKey), peer]));
  }

  /** Notes that peers are changed. */
  changed(peers: readonly PeerChange[]): void {
    for (const { publicKey } of peers) this.#untouched.delete(formatKey(publicKey));
  }

  /** The changes that are necessary for these peers. Unchanged ones are left alone, so they keep their sessions. */
  difference(wanted: readonly PeerChange[]): PeerChange[] {
    return wanted.flatMap((change) => {
      const name = formatKey(change.publicKey);
      const running = this.#untouched.get(name);
      if (!running) return [change];
      this.#untouched.delete(name);
      if (isSame(running, change)) return [];
      return [running.persistentKeepalive === 0 ? change : { ...change, persistentKeepalive: 0 }];
    });
  }

  /** The changes that remove all peers that existed at the beginning and have not been changed since. */
  rest(): PeerChange[] {
    return [...this.#untouched.values()].map(({ publicKey }) => peerChange(publicKey, { remove: true }));
  }
}

/** Whether a peer is as wanted: preshared key, allowed IPs, and no keepalive. */
function isSame(running: PeerState, { presharedKey, allowedIps }: PeerChange): boolean {
  if (running.persistentKeepalive !== 0) return false;
  const key = running.presharedKey;
  if (!presharedKey || (key ? !equalBytes(key, presharedKey) : !isZeroKey(presharedKey))) return false;
  const wanted = new Set(allowedIps.map(({ prefix }) => formatPrefix(prefix)));
  return running.allowedIps.length === wanted.size &&
    running.allowedIps.every((prefix) => wanted.has(formatPrefix(prefix)));
}
