/**
 * Lists of values in a statement.
 *
 * @module
 */

import type { Value } from "./database.ts";

/** A part of a statement, and the values of its `?`. */
export interface Part {
  readonly sql: string;
  readonly values: readonly Value[];
}

/** The most values in one statement. SQLite allows 32,766 (SQLITE_MAX_VARIABLE_NUMBER). */
export const LONGEST_LIST = 1_024;

/**
 * A list for `IN`. It is padded to a power of two, so that at most a dozen statements are prepared. The padding is NULL,
 * which equals nothing.
 */
export function inList(values: readonly Value[]): Part {
  let length = 1;
  while (length < values.length) length *= 2;
  const filler = new Array<null>(length - values.length).fill(null);
  return {
    sql: `(${new Array(length).fill("?").join(", ")})`,
    values: [...values, ...filler],
  };
}

/** Splits a list into lists that each fit one statement. */
export function slices<T>(all: readonly T[], length = LONGEST_LIST): T[][] {
  const result: T[][] = [];
  for (let at = 0; at < all.length; at += length) result.push(all.slice(at, at + length));
  return result;
}
