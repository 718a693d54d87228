/**
 * The setup at the first start. Anybody with the setup link can make the first administrator and the first network.
 *
 * @module
 */

import type { Interfaces } from "./interfaces.ts";
import { addNetwork, networkDetail, type WantedNetwork } from "./networks.ts";
import { hashSecret, newSecret } from "./store/ids.ts";
import type { User } from "./store/records.ts";
import type { Records } from "./store/store.ts";

/** The hash of the link's token; absent once the server is set up. */
const KEY = "setupToken";

/** Whether nobody has set the server up. */
export async function needsSetup(store: Records): Promise<boolean> {
  return (await store.users.list()).length === 0;
}

/** Makes a token that can be used once. An earlier one becomes invalid. */
export async function newSetupToken(store: Records): Promise<string> {
  const token = newSecret();
  await store.settings.set(KEY, hashSecret(token));
  return token;
}

/**
 * Uses a token, inside the transaction that sets the server up.
 *
 * @returns False if the token is wrong or has been used.
 */
export async function useSetupToken(records: Records, token: string): Promise<boolean> {
  return await needsSetup(records) && await records.settings.removeIf(KEY, hashSecret(token));
}

/** Whether a token can be used. */
export async function isSetupToken(records: Records, token: string): Promise<boolean> {
  return await needsSetup(records) && await records.settings.get(KEY) === hashSecret(token);
}

/** The first network and the first administrator of a server. */
export interface Beginning {
  readonly interfaces: Interfaces;
  /** Undefined if the server has a network already. */
  readonly network: WantedNetwork | undefined;
  readonly admin: { readonly name: string; readonly passwordHash: string };
}

/** Makes the first network and the first administrator, inside `changeTogether`, and logs both. */
export async function begin(
  records: Records,
  { interfaces, network, admin }: Beginning,
  by: { readonly actor: string; readonly address: string | null },
  now: number,
): Promise<User> {
  const note = (action: string, target: string, detail: Record<string, unknown>) =>
    records.events.add({ ...by, action, target, detail }, now);
  if (network) {
    const made = await addNetwork(records, interfaces, network, now);
    await note("network.add", `network:${made.id}`, networkDetail(made));
  }
  const user = await records.users.add({ ...admin, role: "admin" }, now);
  await note("user.add", `user:${user.id}`, { name: user.name, role: user.role });
  return user;
}
