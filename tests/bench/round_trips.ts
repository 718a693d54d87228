/**
 * Pings through a tunnel.
 *
 * @module
 */

import type { Host } from "../netns/lab/host.ts";
import { ADDRESSES } from "../netns/lab/pair.ts";
import type { Measurement } from "./measurement.ts";
import type { Session } from "./session.ts";
import { median, percentile } from "./statistics.ts";

/** Seconds from one ping to the next. */
const PING_INTERVAL = 0.005;
/** Pings through a tunnel that nobody has used, and those of the first and the last of them that are told apart. */
const FRESH = 2_000;
const PART = 400;

/** Pings, {@linkcode PING_INTERVAL} apart. @returns The round trips in milliseconds of those that were answered. */
export async function pings(
  from: Host,
  target: string,
  { count, wait = 2 }: { count: number; wait?: number },
): Promise<number[]> {
  const words = ["ping", "-c", String(count), "-i", String(PING_INTERVAL), "-W", String(wait), target];
  const { stdout } = await from.run(words, { timeout: (count * PING_INTERVAL + 20) * 1000 });
  return [...stdout.matchAll(/ time=([\d.]+) ms/g)].map(([, time]) => Number(time));
}

/** Round trips in milliseconds from far to near. */
export async function roundTrips({ hosts }: Session, seconds: number): Promise<number[]> {
  const count = Math.round(seconds / PING_INTERVAL);
  const times = await pings(hosts.far, ADDRESSES.near.inside[4], { count });
  if (times.length < count / 2) throw new Error(`Only ${times.length} of ${count} pings were answered`);
  return times;
}

/** Round trips through a fresh tunnel, from its first packet on. */
export const FIRST_PINGS: Measurement = {
  name: "first-pings",
  session: "own",
  rows: [
    { title: "Fresh tunnel: first ping, with its handshake", unit: "ms", better: "less" },
    { title: `Fresh tunnel: first ${PART} pings, median`, unit: "ms", better: "less" },
    { title: `Fresh tunnel: first ${PART} pings, 99th percentile`, unit: "ms", better: "less" },
    { title: `Fresh tunnel: last ${PART} of ${FRESH} pings, median`, unit: "ms", better: "less" },
    { title: `Fresh tunnel: last ${PART} of ${FRESH} pings, 99th percentile`, unit: "ms", better: "less" },
  ],
  async measure(session) {
    const times = await roundTrips(session, FRESH * PING_INTERVAL);
    const parts = [times.slice(0, PART), times.slice(-PART)];
    return [session.firstPing, ...parts.flatMap((part) => [median(part), percentile(part, 0.99)])];
  },
};
