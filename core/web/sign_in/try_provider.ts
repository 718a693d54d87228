/**
 * *Try it*: shows what a provider returns for a person, and what would follow from this. Nothing is changed.
 *
 * @module
 */

import type { Context } from "../context.ts";
import type { Named } from "../store/groups.ts";
import type { Provider } from "../store/providers.ts";
import type { Role } from "../store/records.ts";
import { type CodeOf, say, type Saying } from "../english.ts";
import type { FaultCode } from "./fault.ts";
import { Directory, type DirectoryPerson } from "./ldap.ts";
import type { AccountFault } from "./ldap_account.ts";
import { DirectoryError } from "./ldap_connection.ts";
import type { FullLdapSettings } from "./ldap_settings.ts";
import { OidcDiscoveryError } from "./oidc.ts";
import { SealError } from "./seal.ts";
import { groupsFor, ldapOf } from "./provider_access.ts";

/** The provider's data about a person, and the decision that would follow from it. */
export interface Tried {
  /** Null if nobody was found. */
  readonly entry: {
    readonly subject: string;
    readonly name: string;
    readonly displayName: string | null;
    readonly email: string | null;
    readonly dn: string | null;
  } | null;
  /** Groups of the provider, each with the corresponding group of this server. */
  readonly groups: readonly { readonly name: string; readonly group: Named | null }[];
  readonly decision: {
    readonly allowed: boolean;
    readonly role: Role;
    readonly networks: readonly Named[];
  } & Saying<Code>;
}

type Code = CodeOf<"try"> | FaultCode;

/** Looks up a name at a provider. */
export async function tryProvider(context: Context, provider: Provider, name: string): Promise<Tried> {
  try {
    return provider.kind === "ldap"
      ? await tryLdap(context, provider, name)
      : await tryOidc(context, provider, name);
  } catch (error) {
    if (error instanceof SealError) return nobody(say("fault", "secret-lost"));
    if (!(error instanceof DirectoryError || error instanceof OidcDiscoveryError)) throw error;
    return nobody({ ...error.fault, text: sentence(error.message) });
  }
}

async function tryLdap(context: Context, provider: Provider, name: string): Promise<Tried> {
  const { settings, password } = ldapOf(provider, context.signIn.seal);
  const mapped = await context.store.groups.ofProvider(provider.id);
  await using directory = await Directory.open(settings, password, context.clock);
  const person = await directory.find(name, mapped.map(({ subject }) => subject));
  if (!person) return nobody(await whyNobody(directory, settings, name));
  const all = await directory.groupsOf(person);
  const { subject, displayName, email, dn, disabled } = person;
  return await decide(context, provider, {
    entry: { subject, name: person.name, displayName, email, dn },
    names: [...new Set([...all, ...person.groups])],
    mapped,
    fault: disabled ?? (await isDisabledHere(context, provider, person) ? "disabled-here" : null),
  });
}

async function tryOidc(context: Context, provider: Provider, name: string): Promise<Tried> {
  const { store, signIn } = context;
  const { authorizationEndpoint } = await signIn.oidc.read(provider);
  const identity = await store.identities.findByName(provider.id, name);
  if (!identity) {
    return nobody(say("try", "not-yet", { address: authorizationEndpoint, name }));
  }
  const user = (await store.users.find(identity.userId))!;
  return await decide(context, provider, {
    entry: { subject: identity.subject, name, displayName: null, email: user.email, dn: null },
    names: identity.groupsSeen ?? [],
    mapped: await store.groups.ofProvider(provider.id),
    fault: user.disabledAt === null ? null : "disabled-here",
  });
}

interface Evidence {
  readonly entry: NonNullable<Tried["entry"]>;
  readonly names: readonly string[];
  readonly mapped: readonly (Named & { readonly subject: string })[];
  readonly fault: AccountFault | "disabled-here" | null;
}

async function decide(
  { store }: Context,
  { kind }: Provider,
  { entry, names, mapped, fault }: Evidence,
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
  const said = sayWhat(entry.name, fault, role, networks);
  return { entry, groups, decision: { allowed: fault === null, role, networks, ...said } };
}

function sayWhat(
  name: string,
  fault: Evidence["fault"],
  role: Role,
  networks: readonly Named[],
): Saying<Code> {
  if (fault !== null) return say("try", fault, { name });
  const as = role === "admin" ? "admin" : "user";
  if (networks.length === 0) return say("try", `${as}-alone`, { name });
  return say("try", as, { name, networks: networks.map(({ name }) => name).join(", ") });
}

async function isDisabledHere(
  { store }: Context,
  { id }: Provider,
  { subject }: DirectoryPerson,
): Promise<boolean> {
  const identity = await store.identities.find(id, subject);
  const user = identity && await store.users.find(identity.userId);
  return user?.disabledBy === "administrator";
}

async function whyNobody(
  directory: Directory,
  settings: FullLdapSettings,
  name: string,
): Promise<Saying<Code>> {
  const { baseDn: base, userFilter: filter, nameAttribute: attribute } = settings;
  if (!await directory.hasPeople()) return say("try", "no-people", { base, filter });
  return say("try", "no-match", { base, filter, attribute, name });
}

function nobody(said: Saying<Code>): Tried {
  return { entry: null, groups: [], decision: { allowed: false, role: "user", networks: [], ...said } };
}

function sentence(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}
