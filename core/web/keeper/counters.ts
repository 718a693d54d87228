/**
 * Counters of an interface's peers.
 *
 * @module
 */

import { formatSocketAddress } from "../../config/endpoint.ts";
import { formatKey } from "../../config/key.ts";
import { getCounters } from "../../client/devices.ts";
import type { CountersSelection } from "../../uapi/counters.ts";
import type { PeerCounters } from "./verbs.ts";

/** Reads the counters of an interface's peers. */
export async function readCounters(name: string, selection: CountersSelection): Promise<PeerCounters[]> {
  return await getCounters(name, selection, (peer) => ({
    publicKey: formatKey(peer.publicKey),
    endpoint: peer.endpoint ? formatSocketAddress(peer.endpoint) : null,
    lastHandshakeAt: peer.lastHandshake.seconds * 1e3 + Math.floor(peer.lastHandshake.nanoseconds / 1e6),
    rxBytes: peer.rxBytes,
    txBytes: peer.txBytes,
  }));
}
