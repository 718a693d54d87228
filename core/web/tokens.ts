/**
 * Makes API tokens on the command line.
 *
 * @module
 */

import type { Scope } from "./store/records.ts";
import type { Records } from "./store/store.ts";

/**
 * Makes a token and logs it.
 *
 * @returns The token for the program that uses it. It is not stored.
 * @throws {TakenError} If a token has this name.
 */
export async function addToken(
  store: Records,
  name: string,
  scopes: readonly Scope[],
  now: number,
): Promise<string> {
  return await store.transaction(async ({ tokens, events }) => {
    const { token: { id }, secret } = await tokens.add(name, scopes, now);
    await events.add({
      actor: "system",
      action: "token.add",
      target: `token:${id}`,
      address: null,
      detail: { name, scopes },
    }, now);
    return secret;
  });
}
