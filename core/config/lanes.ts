/**
 * How many lanes an interface may have: threads that seal and open packets beside the engine's.
 *
 * @module
 */

/** A number, or as many as the machine has processors with nothing to do. */
export type LaneCount = number | "auto";

/** The most lanes of an interface. */
export const MAX_LANES = 7;
/** How many there may be if nobody says. */
export const DEFAULT_LANES: LaneCount = 0;
/** What a number of lanes looks like, for people. */
export const LANES_EXPECTED: string = `expected auto or a number from 0 to ${MAX_LANES}`;

/** Reads a number of lanes, or `auto`. @returns Undefined if it is neither. */
export function parseLanes(text: string): LaneCount | undefined {
  if (/^auto$/i.test(text)) return "auto";
  return /^[0-7]$/.test(text) ? Number(text) : undefined;
}
