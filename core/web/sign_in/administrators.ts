/**
 * That there is always somebody who can administer the server.
 *
 * @module
 */

import type { Context } from "../context.ts";
import { ApiError } from "../routing.ts";
import type { User } from "../store/records.ts";

/**
 * Makes a change of a user, unless it would leave the server without an administrator.
 *
 * @param before The user as they are.
 * @param change Makes the change.
 * @throws {ApiError} `last-admin`; then the user is an administrator as before.
 */
export async function keepAnAdmin(
  { store, clock }: Pick<Context, "store" | "clock">,
  before: User,
  change: () => Promise<void>,
): Promise<void> {
  const others = await store.users.countAdmins(clock(), before.id);
  const groups = others > 0 ? [] : (await store.groups.ofUser(before.id)).map(({ id }) => id);
  await change();
  if (others > 0 || before.role !== "admin" || await store.users.countAdmins(clock()) > 0) return;
  await store.users.change(before.id, {
    role: before.ownRole,
    disabledBy: before.disabledBy,
    reason: before.reason,
    expiresAt: before.expiresAt,
  }, clock());
  const local = (await store.groups.list()).filter(({ id, source }) =>
    source === null && groups.includes(id)
  );
  await store.groups.setOfUser(before.id, "local", local.map(({ id }) => id));
  throw new ApiError(409, "last-admin", "this would leave the server without an administrator");
}
