/**
 * *Try it*: what a provider says about a person, and what would follow from it. Nothing is changed.
 *
 * @module
 */

import type { Context } from "../context.ts";
import type { Named } from "../store/groups.ts";
import type { Provider } from "../store/providers.ts";
import type { Role } from "../store/records.ts";
import { Directory, type DirectoryPerson } from "./ldap.ts";
import { DirectoryError } from "./ldap_connection.ts";
import type { FullLdapSettings } from "./ldap_settings.ts";
import { OidcError } from "./oidc.ts";
import { groupsFor, ldapOf } from "./provider_access.ts";

/** What a provider says about a person, and what would follow from it. */
export interface Tried {
  /** Null if nobody was found. */
  readonly entry: {
    readonly subject: string;
    readonly name: string;
    readonly displayName: string | null;
    readonly email: string | null;
    readonly dn: string | null;
  } | null;
  /** Groups of the provider; each with the group here that it leads to. */
  readonly groups: readonly { readonly name: string; readonly group: Named | null }[];
  readonly decision: {
    readonly allowed: boolean;
    readonly role: Role;
    readonly networks: readonly Named[];
    readonly text: string;
  };
}

/** Asks a provider about a name. */
export async function tryProvider(context: Context, provider: Provider, name: string): Promise<Tried> {
  try {
    return provider.kind === "ldap"
      ? await tryLdap(context, provider, name)
      : await tryOidc(context, provider, name);
  } catch (error) {
    if (!(error instanceof DirectoryError || error instanceof OidcError)) throw error;
    return nobody(sentence(error.message));
  }
}

async function tryLdap(context: Context, provider: Provider, name: string): Promise<Tried> {
  const { settings, password } = ldapOf(provider, context.signIn.seal);
  const mapped = await context.store.groups.ofProvider(provider.id);
  await using directory = await Directory.open(settings, password, context.clock);
  const person = await directory.find(name, mapped.map(({ subject }) => subject));
  if (!person) return nobody(await whyNobody(directory, settings, name));
  const all = settings.groupsBy === "member" ? await directory.groupsOf(person) : [];
  const { subject, displayName, email, dn, disabled } = person;
  return await decide(context, provider, {
    entry: { subject, name: person.name, displayName, email, dn },
    names: [...new Set([...all, ...person.groups])],
    mapped,
    disabled: disabled ?? await disabledHere(context, provider, person),
  });
}

async function tryOidc(context: Context, provider: Provider, name: string): Promise<Tried> {
  const { store, signIn } = context;
  const { authorizationEndpoint } = await signIn.oidc.get(provider);
  const identity = await store.identities.findByName(provider.id, name);
  if (!identity) {
    return nobody(
      `The provider answers; people sign in at ${authorizationEndpoint}. ` +
        `It tells about ${name} only when they sign in, and they have not done so yet.`,
    );
  }
  const user = (await store.users.find(identity.userId))!;
  return await decide(context, provider, {
    entry: { subject: identity.subject, name, displayName: null, email: user.email, dn: null },
    names: identity.groupsSeen ?? [],
    mapped: await store.groups.ofProvider(provider.id),
    disabled: user.disabledAt === null ? null : user.reason ?? "the account is disabled here",
  });
}

interface Evidence {
  readonly entry: NonNullable<Tried["entry"]>;
  readonly names: readonly string[];
  readonly mapped: readonly (Named & { readonly subject: string })[];
  readonly disabled: string | null;
}

async function decide(
  { store }: Context,
  { kind }: Provider,
  { entry, names, mapped, disabled }: Evidence,
): Promise<Tried> {
  const groups = names.map((name) => {
    const [group] = groupsFor(kind, [name], mapped);
    return { name, group: group ? { id: group.id, name: group.name } : null };
  });
  const ids = new Set(groupsFor(kind, names, mapped).map(({ id }) => id));
  const here = (await store.groups.list()).filter(({ id }) => ids.has(id));
  const role = here.some((group) => group.role === "admin") ? "admin" : "user";
  const given = role === "admin" ? await store.networks.list() : here.flatMap(({ networks }) => networks);
  const networks = [...new Map(given.map(({ id, name }) => [id, { id, name }])).values()];
  const allowed = disabled === null;
  return {
    entry,
    groups,
    decision: { allowed, role, networks, text: sentenceFor(entry.name, disabled, role, networks) },
  };
}

function sentenceFor(name: string, disabled: string | null, role: Role, networks: readonly Named[]): string {
  if (disabled !== null) return `${name} may not sign in: ${disabled}.`;
  const as = role === "admin" ? "an administrator" : "a user";
  if (networks.length === 0) return `${name} may sign in as ${as}, but no group of theirs gives a network.`;
  return `${name} may sign in as ${as}, with devices in ${networks.map(({ name }) => name).join(", ")}.`;
}

async function disabledHere(
  { store }: Context,
  { id }: Provider,
  { subject }: DirectoryPerson,
): Promise<string | null> {
  const identity = await store.identities.find(id, subject);
  const user = identity && await store.users.find(identity.userId);
  return user?.disabledBy === "administrator" ? user.reason ?? "the account is disabled here" : null;
}

async function whyNobody(directory: Directory, settings: FullLdapSettings, name: string): Promise<string> {
  const { baseDn, userFilter, nameAttribute } = settings;
  if (!await directory.hasPeople()) {
    return `Nobody at all is found below ${baseDn} by ${userFilter}: check the base DN, the filter, and what the ` +
      "searching account may read.";
  }
  return `Nobody, or more than one, below ${baseDn} matches ${userFilter} and has the ${nameAttribute} "${name}".`;
}

function nobody(text: string): Tried {
  return { entry: null, groups: [], decision: { allowed: false, role: "user", networks: [], text } };
}

function sentence(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}
