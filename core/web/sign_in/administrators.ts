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
    throw lastAdminError();
  });
}

/**
 * Tries a change and undoes it, to refuse it before something that takes long.
 *
 * @throws {ApiError} `last-admin`, as `keepAnAdmin` would.
 */
export async function requireAnAdminAfter(
  { store, clock }: Pick<Context, "store" | "clock">,
  change: (records: Records) => Promise<void>,
): Promise<void> {
  let admins: number | undefined;
  const undo = new Error("this was only a trial");
  try {
    await store.transaction(async (records) => {
      await change(records);
      admins = await records.users.countAdmins(clock());
      throw undo;
    });
  } catch (error) {
    if (error !== undo) throw error;
  }
  if (admins === 0) throw lastAdminError();
}

function lastAdminError(): ApiError {
  return new ApiError(409, "last-admin", "this would leave the server without an administrator");
}
