/**
 * The setup at the first start. Whoever has the setup link makes the first administrator and the first network.
 *
 * @module
 */

import { hashSecret, newSecret } from "./store/ids.ts";
import type { Store } from "./store/store.ts";

/** The hash of the link's token; absent once the server is set up. */
const KEY = "setupToken";

/** Whether nobody has set the server up. */
export async function needsSetup(store: Store): Promise<boolean> {
  return (await store.users.list()).length === 0;
}

/** Makes a token that can be used once. An earlier one becomes invalid. */
export async function newSetupToken(store: Store): Promise<string> {
  const token = newSecret();
  await store.settings.set(KEY, hashSecret(token));
  return token;
}

/**
 * Uses a token for something that may fail. After a failure it can be used again.
 *
 * @returns Undefined if the token is wrong or has been used.
 */
export async function useSetupToken<T>(
  store: Store,
  token: string,
  work: () => Promise<T>,
): Promise<T | undefined> {
  const hash = hashSecret(token);
  if (!await needsSetup(store) || !await store.settings.removeIf(KEY, hash)) return undefined;
  try {
    return await work();
  } catch (error) {
    await store.settings.set(KEY, hash);
    throw error;
  }
}
