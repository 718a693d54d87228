/**
 * Makes sure that the server always has an administrator.
 *
 * @module
 */

import type { Context } from "../context.ts";
import { ApiError } from "../routing.ts";
import type { Records } from "../store/store.ts";

/**
 * Makes a change, unless it would leave the server without an administrator. Change and check are in one transaction,
 * so two administrators cannot remove each other at the same time.
 *
 * @param change Makes the change in the records that it is given.
 * @throws {ApiError} `last-admin`. Nothing is changed then.
 */
export async function keepAnAdmin<T>(
  { store, clock }: Pick<Context, "store" | "clock">,
  change: (records: Records) => Promise<T>,
): Promise<T> {
  return await store.transaction(async (records) => {
    const result = await change(records);
    if (await records.users.countAdmins(clock()) > 0) return result;
    throw new ApiError(409, "last-admin", "this would leave the server without an administrator");
  });
}
