/**
 * Whether the database can still be changed. While a disk is full, it can be read.
 *
 * @module
 */

import type { Database } from "./database.ts";
import { DatabaseError } from "./errors.ts";

/** Makes a change, and notes if the database cannot make it. */
export async function noteFailure<T>(
  database: Pick<Database, "changesFail">,
  change: () => Promise<T>,
): Promise<T> {
  try {
    return await change();
  } catch (error) {
    if (error instanceof DatabaseError) database.changesFail = true;
    throw error;
  }
}
