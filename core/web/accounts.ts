/**
 * Changes to accounts on the command line, for people who cannot sign in any more.
 *
 * @module
 */

import { flawOf, Passwords } from "./sign_in/passwords.ts";
import type { Store } from "./store/store.ts";

/** An account cannot be changed in this way. Nothing was changed. */
export class AccountError extends Error {
  /** Distinguishes this kind of error from others. */
  override name = "AccountError";

  /** @param hint What to do about it. */
  constructor(message: string, readonly hint?: string) {
    super(message);
  }
}

/** A change of an account. */
export interface AccountChange {
  readonly password?: string | undefined;
  /** Turns the second factor off. */
  readonly withoutSecondFactor: boolean;
}

/**
 * Changes an account, ends its sessions and logs both actions.
 *
 * @throws {AccountError} If there is no such user, or the password is not good enough.
 */
export async function changeAccount(
  store: Store,
  name: string,
  { password, withoutSecondFactor }: AccountChange,
  now: number,
): Promise<void> {
  const user = await store.users.findByName(name);
  if (!user) throw new AccountError(`there is no user named "${name}"`, "the page lists all: People");
  const flaw = password === undefined
    ? undefined
    : flawOf(password, [name, ...(user.email ? [user.email] : [])]);
  if (flaw !== undefined) throw new AccountError(`the password cannot be used: ${flaw}`);
  using passwords = new Passwords();
  const hash = password === undefined ? undefined : await passwords.hash(password);
  await store.transaction(async ({ identities, sessions, events }) => {
    if (hash !== undefined) await identities.setPassword(user.id, hash);
    if (withoutSecondFactor) {
      for (const { id } of await identities.ofUser(user.id)) await identities.setTotp(id, null);
    }
    await sessions.endAll(user.id);
    await events.add({
      actor: "system",
      action: "user.change",
      target: `user:${user.id}`,
      address: null,
      detail: {
        name,
        ...(hash !== undefined && { password: "changed" }),
        ...(withoutSecondFactor && { totp: false }),
      },
    }, now);
  });
}
