/**
 * How many lanes an interface may have: threads that seal and open packets beside the engine's.
 *
 * @module
 */

/** A number; or as many as processors have nothing to do, at most as many as the machine suggests, or a number. */
export type LaneCount = number | "auto" | `auto:${number}`;

/** The most lanes of an interface. */
export const MAX_LANES = 7;
/** Most lanes that are started without being asked for. More were of no use where it was measured. */
const MOST_SUGGESTED = 3;
/** How many there may be if nobody says. */
export const DEFAULT_LANES: LaneCount = 0;
/** What a number of lanes looks like, for people. */
export const LANES_EXPECTED: string = `expected auto, auto:NUMBER or a number from 0 to ${MAX_LANES}`;

/** Reads a number of lanes, `auto`, or `auto:NUMBER`. @returns Undefined if it is none of them. */
export function parseLanes(text: string): LaneCount | undefined {
  const lower = text.toLowerCase();
  if (lower === "auto") return lower;
  const [, auto, number] = /^(auto:)?([0-7])$/.exec(lower) ?? [];
  if (number === undefined) return undefined;
  return auto === undefined ? Number(number) : `auto:${Number(number)}`;
}

/** The most lanes that there may be, on a machine with so many processors. */
export function mostLanes(count: LaneCount, processors: number): number {
  if (count === "auto") return Math.max(0, Math.min(MOST_SUGGESTED, processors - 1));
  return typeof count === "number" ? count : Number(count.slice("auto:".length));
}
