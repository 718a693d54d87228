/**
 * The three states that a reload compares: what the file set before, what it sets now, and what the interface has.
 * Settings of the file are applied. Settings that were removed from the file are undone. Settings that were never in
 * the file come from a hook or an operator, and stay.
 *
 * @module
 */

import type { WgConfig } from "../../config/wg_config.ts";
import type { DeviceState } from "../../uapi/get.ts";
import type { Applied, KeyHash } from "./applied.ts";

/** The compared values. */
export interface Sides {
  readonly config: WgConfig;
  /** What the file sets now. */
  readonly wanted: Applied;
  /** What it set before: two states after a reload that was killed, and none without a record. */
  readonly before: readonly Applied[];
  /** What the file's own hooks did not change at `up`; absent if they changed nothing. */
  readonly left?: Applied | undefined;
  /** What the interface has. */
  readonly running: DeviceState;
  readonly hash: KeyHash;
}

/** One value in all states; undefined where it is not set. */
export interface Values<T> {
  readonly wanted: T | undefined;
  readonly before: readonly (T | undefined)[];
  readonly left: T | undefined;
  readonly running: T | undefined;
}

/** The new value. */
export function settle<T>(values: Values<T>): T | undefined {
  const { wanted, before, left, running } = values;
  if (isUnchanged(values)) return wanted === undefined || running === left ? running : wanted;
  return wanted ?? (before.includes(running) ? undefined : running);
}

/** Whether the file sets the same as before. */
export function isUnchanged<T>({ wanted, before }: Values<T>): boolean {
  return before.length > 0 && before.every((value) => value === wanted);
}

/** One value in all states. @param running The interface's value, in the form of the others. */
export function valuesOf<T>(
  { wanted, before, left }: Pick<Sides, "wanted" | "before" | "left">,
  pick: (side: Applied) => T | undefined,
  running: T | undefined,
): Values<T> {
  return { wanted: pick(wanted), before: before.map(pick), left: pick(left ?? wanted), running };
}
