/**
 * Groups of a directory and their members.
 *
 * @module
 */

import { AndFilter, type Entry, EqualityFilter, FilterParser, NoSuchObjectError, OrFilter } from "ldapts";
import { code } from "../english.ts";
import { nestedGroups, nestedGroupsOf } from "./active_directory.ts";
import { DirectoryError } from "./ldap_connection.ts";
import { isDn, normalizeDn, type Search, text, texts } from "./ldap_entry.ts";
import type { FullLdapSettings } from "./ldap_settings.ts";

/** Returns the groups of a person's entry. */
export type GroupsOf = (entry: Entry) => string[];

/**
 * Prepares to find the groups of people.
 *
 * @param wanted Groups by DN or cn. If people's entries do not contain their groups, only these are found.
 * @throws {DirectoryError}
 */
export async function findGroups(
  search: Search,
  settings: FullLdapSettings,
  wanted: readonly string[],
): Promise<GroupsOf> {
  if (settings.groupsBy === "member") return await byMember(search, settings, wanted);
  const own: GroupsOf = (entry) => texts(entry, "memberOf");
  if (!settings.nestedGroups) return own;
  const around = await nestedGroups(search, await groupsNamed(search, settings, wanted), settings);
  return (entry) => {
    const found = new Map([...own(entry), ...around(entry)].map((dn) => [normalizeDn(dn), dn]));
    return [...found.values()];
  };
}

/** All groups of a person. @throws {DirectoryError} */
export async function allGroupsOf(
  search: Search,
  settings: FullLdapSettings,
  { dn, name }: { readonly dn: string; readonly name: string },
): Promise<string[]> {
  if (settings.groupsBy === "member-of") {
    return settings.nestedGroups ? await nestedGroupsOf(search, dn, settings) : [];
  }
  const filters = [["member", dn], ["uniqueMember", dn], ["memberUid", name]].map(([attribute, value]) =>
    new EqualityFilter({ attribute: attribute!, value: value! })
  );
  const entries = await search(settings.groupBaseDn, new OrFilter({ filters }), { attributes: ["1.1"] });
  return entries.map(({ dn }) => dn);
}

/** DNs of groups that an administrator configured. A deleted group has none. */
async function groupsNamed(
  search: Search,
  settings: FullLdapSettings,
  wanted: readonly string[],
): Promise<string[]> {
  const dns = wanted.filter(isDn);
  const names = wanted.filter((name) => !isDn(name));
  if (names.length === 0) return dns;
  const named = new OrFilter({
    filters: names.map((value) => new EqualityFilter({ attribute: "cn", value })),
  });
  const filter = new AndFilter({ filters: [FilterParser.parseString("(objectClass=group)"), named] });
  const entries = await search(settings.groupBaseDn, filter, { paged: true, attributes: ["1.1"] });
  return [...dns, ...entries.map(({ dn }) => dn)];
}

/** Uses the groups' own lists. A group is given by its DN or its cn. */
async function byMember(
  search: Search,
  { groupBaseDn, nameAttribute }: FullLdapSettings,
  wanted: readonly string[],
): Promise<GroupsOf> {
  const found = new Map<string, { dns: Set<string>; names: Set<string> }>();
  for (const group of wanted) {
    const [base, scope, filter] = isDn(group)
      ? [group, "base", FilterParser.parseString("(objectClass=*)")] as const
      : [groupBaseDn, undefined, new EqualityFilter({ attribute: "cn", value: group })] as const;
    let entries: Entry[];
    try {
      entries = await search(base, filter, {
        ...(scope && { scope }),
        attributes: ["member", "uniqueMember", "memberUid"],
      });
    } catch (error) {
      // The group was deleted.
      if (scope && error instanceof DirectoryError && error.cause instanceof NoSuchObjectError) continue;
      throw error;
    }
    const members = { dns: new Set<string>(), names: new Set<string>() };
    for (const entry of entries) {
      if (Object.keys(entry).some((attribute) => attribute.startsWith("member;range="))) {
        throw new DirectoryError(
          "returns the members of a group in parts",
          new Error("read groups from memberOf instead"),
          code("fault", "members-in-parts"),
        );
      }
      for (const attribute of ["member", "uniqueMember"]) {
        for (const dn of texts(entry, attribute)) members.dns.add(normalizeDn(dn));
      }
      for (const name of texts(entry, "memberUid")) members.names.add(name.toLowerCase());
    }
    found.set(group, members);
  }
  return (entry) => {
    const [dn, name] = [normalizeDn(entry.dn), text(entry, nameAttribute)?.toLowerCase()];
    return [...found].flatMap(([group, { dns, names }]) =>
      dns.has(dn) || name !== undefined && names.has(name) ? [group] : []
    );
  };
}

/** Whether a group in a directory is the one that an administrator configured by its DN or its cn. */
export function isGroup(found: string, wanted: string): boolean {
  const dn = normalizeDn(found);
  if (dn === normalizeDn(wanted)) return true;
  return !isDn(wanted) && dn.startsWith(`${normalizeDn(`cn=${wanted}`)},`);
}
