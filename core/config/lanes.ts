/**
 * The number of lanes of an interface: additional threads that seal and open packets.
 *
 * @module
 */

import { FeatureError } from "./features.ts";

/** A number, or as many as there are idle processors: at most the default of the machine, or at most a number. */
export type LaneCount = number | "auto" | `auto:${number}`;

/** The most lanes of an interface. */
export const MAX_LANES = 7;
/** The most lanes that are started by default. Measurements showed no benefit from more. */
const MOST_SUGGESTED = 3;
/** The environment's number of lanes for an interface's process. Its option `--lanes` takes precedence. */
export const LANES_VARIABLE = "WGD_LANES";
/** The default. */
export const DEFAULT_LANES: LaneCount = "auto";
/** The forms of a number of lanes, for messages. */
export const LANES_EXPECTED: string = `expected auto, auto:NUMBER or a number from 0 to ${MAX_LANES}`;

/** Reads a number of lanes, `auto`, or `auto:NUMBER`. @returns Undefined if it is none of these. */
export function parseLanes(text: string): LaneCount | undefined {
  const lower = text.toLowerCase();
  if (lower === "auto") return lower;
  const [, auto, number] = /^(auto:)?([0-7])$/.exec(lower) ?? [];
  if (number === undefined) return undefined;
  return auto === undefined ? Number(number) : `auto:${Number(number)}`;
}

/** The most lanes on a machine with this number of processors. */
export function mostLanes(count: LaneCount, processors: number): number {
  if (count === "auto") return Math.max(0, Math.min(MOST_SUGGESTED, processors - 1));
  return typeof count === "number" ? count : Number(count.slice("auto:".length));
}

/** Reads a number of lanes. @param from Where it was written. @throws {FeatureError} If it is not one. */
export function parseLanesOf(from: string, text: string): LaneCount {
  const count = parseLanes(text);
  if (count !== undefined) return count;
  throw new FeatureError(`${from}: "${text}" is not a number of lanes`, LANES_EXPECTED);
}
