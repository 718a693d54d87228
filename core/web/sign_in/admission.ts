/**
 * Finds or makes the user of a person whom a provider has authenticated.
 *
 * @module
 */

import { TakenError } from "../store/errors.ts";
import type { Identity } from "../store/identities.ts";
import type { Provider } from "../store/providers.ts";
import type { User } from "../store/records.ts";
import type { Records, Store } from "../store/store.ts";
import { act, noteOfProvider } from "./provider_act.ts";
import { groupsFor } from "./provider_access.ts";

/** A person whom a provider has authenticated. */
export interface Person {
  /** The provider's permanent identifier. */
  readonly subject: string;
  readonly name: string;
  readonly email: string | null;
  /** Names of the provider's groups. */
  readonly groups: readonly string[];
}

/** A user who may sign in. */
export interface Admission {
  readonly user: User;
  readonly identity: Identity;
  /** Whether their devices must be added or removed. */
  readonly changed: boolean;
}

/** Longest name of a user. */
const LONGEST_NAME = 64;

/**
 * Finds or makes the user of a person and updates their groups. A new user is not an administrator, unless a group that
 * an administrator configured makes them one.
 *
 * A user is found only by the provider and its identifier, never by a name or an e-mail address. Otherwise whoever can
 * choose a name at the provider could sign in as another user.
 *
 * @returns The user. If their devices must be added or removed, call `Peers.apply`.
 */
export async function admit(
  store: Store,
  provider: Provider,
  person: Person,
  now: number,
): Promise<Admission> {
  // A new person may sign in with two browsers at the same time.
  return await store.transaction((records) => admitInto(records, provider, person, now));
}

async function admitInto(
  records: Records,
  provider: Provider,
  person: Person,
  now: number,
): Promise<Admission> {
  const { identities, groups, users } = records;
  const known = await identities.find(provider.id, person.subject);
  const before = known ? (await users.find(known.userId))! : await addUser(users, provider, person, now);
  const { id: userId } = before;
  if (!known) await noteOfProvider(records, provider, "user.add", userId, { name: before.name }, now);
  const identity = known ?? (await identities.find(provider.id, person.subject))!;
  await identities.seen(identity.id, person.name, person.groups, now);
  const networksBefore = await groups.networksOf(userId);
  const given = groupsFor(provider.kind, person.groups, await groups.ofProvider(provider.id))
    .map(({ id }) => id);
  const had = await groups.fromSource(userId, provider.id);
  if (had.length !== given.length || !given.every((id) => had.includes(id))) {
    await act(records, provider, { kind: "groups", user: userId, groups: given }, now);
  }
  // The provider has just confirmed that the account may be used.
  if (before.disabledBy === "directory") await act(records, provider, { kind: "enable", user: userId }, now);
  const user = await users.change(userId, { email: person.email }, now);
  const changed = before.disabledAt !== user!.disabledAt ||
    JSON.stringify(networksBefore) !== JSON.stringify(await groups.networksOf(userId));
  return { user: user!, identity, changed };
}

async function addUser(
  users: Records["users"],
  provider: Provider,
  person: Person,
  now: number,
): Promise<User> {
  const identity = {
    kind: provider.kind,
    providerId: provider.id,
    subject: person.subject,
    name: person.name,
  };
  for (let attempt = 0;; attempt++) {
    const name = freeName(person.name, provider.name, attempt);
    try {
      return await users.add({ name, email: person.email ?? undefined, role: "user", identity }, now);
    } catch (error) {
      if (!(error instanceof TakenError) || attempt === 100) throw error;
    }
  }
}

/** A person's name. If it is in use, the provider's name is added, then numbers. */
function freeName(name: string, provider: string, attempt: number): string {
  const plain = name.replaceAll(/\p{C}/gu, " ").trim() || "user";
  const more = attempt === 0 ? "" : attempt === 1 ? ` (${provider})` : ` (${provider} ${attempt})`;
  return plain.slice(0, Math.max(1, LONGEST_NAME - more.length)).trim() + more.slice(0, LONGEST_NAME - 1);
}
