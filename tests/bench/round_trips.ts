/**
 * Pings through a tunnel.
 *
 * @module
 */

import { ADDRESSES } from "../netns/lab/pair.ts";
import type { Session } from "./session.ts";

/** Seconds from one ping to the next. */
const PING_INTERVAL = 0.005;

/** Round trips in milliseconds from far to near. */
export async function roundTrips({ hosts }: Session, seconds: number): Promise<number[]> {
  const count = String(Math.round(seconds / PING_INTERVAL));
  const words = ["ping", "-c", count, "-i", String(PING_INTERVAL), "-W", "2", ADDRESSES.near.inside[4]];
  const { stdout } = await hosts.far.run(words, { timeout: (seconds + 20) * 1000 });
  const times = [...stdout.matchAll(/ time=([\d.]+) ms/g)].map(([, time]) => Number(time));
  if (times.length < Number(count) / 2) {
    throw new Error(`Only ${times.length} of ${count} pings were answered`);
  }
  return times;
}
