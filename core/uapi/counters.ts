/**
 * The counters of an interface's peers, without the configuration and secret keys. A reader that needs a few of a
 * hundred thousand peers once a second requests only these.
 *
 * @module
 */

import { formatSocketAddress } from "../config/endpoint.ts";
import { formatHexKey, type Key, parseHexKey } from "../config/key.ts";
import type { PeerState } from "./get.ts";
import { inChunks } from "./lines.ts";

/** The requested peers. The default is all. */
export interface CountersSelection {
  /** Peers that had a handshake at this time or later: seconds since 1970. */
  readonly since?: number | undefined;
  /** Peers with these public keys. */
  readonly publicKeys?: readonly Key[] | undefined;
}

/** The counters of a peer. */
export type CountedPeer = Pick<PeerState, "publicKey" | "endpoint" | "lastHandshake" | "txBytes" | "rxBytes">;

const HEAD = "get=1\nwgd_counters=1\n";

/** Writes the request. Other implementations and older versions of wgd refuse it with `EINVAL`. */
export function formatCountersRequest({ since, publicKeys }: CountersSelection): string {
  const keys = publicKeys?.map((key) => `public_key=${formatHexKey(key)}\n`).join("");
  return `${HEAD}${since === undefined ? "" : `since=${since}\n`}${
    keys === undefined ? "" : `only=1\n${keys}`
  }\n`;
}

/**
 * Reads a request.
 *
 * @returns Undefined if it is another request; null if it is an invalid request for counters.
 */
export function parseCountersRequest(request: string): CountersSelection | undefined | null {
  if (!request.startsWith(HEAD)) return undefined;
  const match = /^(?:since=(\d{1,12})\n)?(?:(only=1)\n((?:public_key=[0-9a-f]{64}\n)*))?\n?$/.exec(
    request.slice(HEAD.length),
  );
  if (!match) return null;
  const [, since, only, lines = ""] = match;
  const publicKeys = [...lines.matchAll(/=(.*)/g)].map(([, key]) => parseHexKey(key!)!);
  return {
    ...(since !== undefined && { since: Number(since) }),
    ...(only !== undefined && { publicKeys }),
  };
}

/** Writes the reply, in chunks. `parseGet` reads it. */
export function formatCounters(peers: Iterable<CountedPeer>): Generator<string, void> {
  return inChunks(countersLines(peers));
}

function* countersLines(peers: Iterable<CountedPeer>): Generator<string, void> {
  for (const { publicKey, endpoint, lastHandshake, txBytes, rxBytes } of peers) {
    yield `public_key=${formatHexKey(publicKey)}\n`;
    if (endpoint) yield `endpoint=${formatSocketAddress(endpoint)}\n`;
    yield `last_handshake_time_sec=${lastHandshake.seconds}\n` +
      `last_handshake_time_nsec=${lastHandshake.nanoseconds}\n` +
      `tx_bytes=${txBytes}\nrx_bytes=${rxBytes}\n`;
  }
  yield "errno=0\n\n";
}
