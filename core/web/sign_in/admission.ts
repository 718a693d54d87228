/**
 * From a person whom a provider vouches for to a user here.
 *
 * @module
 */

import { TakenError } from "../store/errors.ts";
import type { Identity } from "../store/identities.ts";
import type { Provider } from "../store/providers.ts";
import type { User } from "../store/records.ts";
import type { Store } from "../store/store.ts";
import { groupsFor } from "./provider_access.ts";

/** A person whom a provider vouches for. */
export interface Person {
  /** What the provider knows them by for ever. */
  readonly subject: string;
  readonly name: string;
  readonly email: string | null;
  /** Names of the provider's groups. */
  readonly groups: readonly string[];
}

/** Longest name of a user. */
const LONGEST_NAME = 64;

/**
 * Finds the user of a person, or makes one, and brings their groups up to date. A new user is no administrator, unless a
 * group that an administrator named makes them one.
 *
 * A user is found by the provider and its identifier alone. A name or an e-mail address that somebody has here already
 * never leads to that user: whoever can choose a name elsewhere would be them.
 *
 * @returns The user, and whether their devices have to come or go: then call `Peers.apply`.
 */
export async function admit(
  store: Store,
  provider: Provider,
  person: Person,
  now: number,
): Promise<{ user: User; identity: Identity; changed: boolean }> {
  const known = await store.identities.find(provider.id, person.subject);
  const userId = known?.userId ?? (await addUser(store, provider, person, now)).id;
  const identity = known ?? (await store.identities.find(provider.id, person.subject))!;
  await store.identities.seen(identity.id, person.name, person.groups, now);
  const groups = groupsFor(provider.kind, person.groups, await store.groups.ofProvider(provider.id));
  const networksBefore = await store.groups.networksOf(userId);
  await store.groups.setOfUser(userId, provider.id, groups.map(({ id }) => id));
  const before = (await store.users.find(userId))!;
  const user = await store.users.change(userId, {
    email: person.email,
    // The provider has just said that the account may be used.
    ...(before.disabledBy === "directory" && { disabledBy: null }),
  }, now);
  const changed = before.disabledAt !== user!.disabledAt ||
    JSON.stringify(networksBefore) !== JSON.stringify(await store.groups.networksOf(userId));
  return { user: user!, identity, changed };
}

async function addUser(store: Store, provider: Provider, person: Person, now: number): Promise<User> {
  const identity = {
    kind: provider.kind,
    providerId: provider.id,
    subject: person.subject,
    name: person.name,
  };
  for (let attempt = 0;; attempt++) {
    const name = freeName(person.name, provider.name, attempt);
    try {
      return await store.users.add({ name, email: person.email ?? undefined, role: "user", identity }, now);
    } catch (error) {
      if (!(error instanceof TakenError) || attempt === 100) throw error;
    }
  }
}

/** A person's name; where others have it, with the provider's name, then with numbers. */
function freeName(name: string, provider: string, attempt: number): string {
  const plain = name.replaceAll(/\p{C}/gu, " ").trim() || "user";
  const more = attempt === 0 ? "" : attempt === 1 ? ` (${provider})` : ` (${provider} ${attempt})`;
  return plain.slice(0, Math.max(1, LONGEST_NAME - more.length)).trim() + more.slice(0, LONGEST_NAME - 1);
}
