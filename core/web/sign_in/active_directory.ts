/**
 * Groups of Active Directory. Groups can be members of groups, but `memberOf` has only direct memberships. The primary
 * group of a person is a number in their entry, and its list of members does not contain them ([MS-ADTS] 3.1.1.4.5.2
 * and 3.1.1.5.2.2).
 *
 * @module
 */

import { Buffer } from "node:buffer";
import {
  AndFilter,
  type Entry,
  EqualityFilter,
  ExtensibleFilter,
  type Filter,
  FilterParser,
  OrFilter,
  ResultCodeError,
} from "ldapts";
import { DirectoryError } from "./ldap_connection.ts";
import { bytes, normalizeDn, type Search, text, texts } from "./ldap_entry.ts";

/** LDAP_MATCHING_RULE_TRANSITIVE_EVAL: a DN matches through any number of groups ([MS-ADTS] 3.1.1.3.4.4.3). */
const TRANSITIVE = "1.2.840.113556.1.4.1941";

/** The attributes to request from a person's entry. */
export const GROUP_ATTRIBUTES = ["memberOf", "objectSid", "primaryGroupID"] as const;

/** Where groups are. */
interface GroupBase {
  readonly groupBaseDn: string;
}

/**
 * Finds the groups that are members of certain groups. There are far fewer groups than people, so one search for each
 * group serves all people.
 *
 * @param wanted DNs. One that no longer exists, or belongs to another domain, is ignored.
 * @returns Says which of the wanted groups a person is in.
 * @throws {DirectoryError}
 */
export async function nestedGroups(
  search: Search,
  wanted: readonly string[],
  { groupBaseDn }: GroupBase,
): Promise<(person: Entry) => string[]> {
  const found = await Promise.all(wanted.map(async (dn) => {
    const self = await entryOf(search, dn, FilterParser.parseString("(objectClass=group)"));
    if (!self) return [];
    const inside = new ExtensibleFilter({ matchType: "memberOf", rule: TRANSITIVE, value: self.dn });
    const groups = [self, ...await search(groupBaseDn, groupsThat(inside), ASKED)];
    return [{
      dn: self.dn,
      dns: new Set(groups.map(({ dn }) => normalizeDn(dn))),
      sids: new Set(groups.flatMap((group) => bytes(group, "objectSid")?.toString("hex") ?? [])),
    }];
  }));
  return (person) => {
    const own = texts(person, "memberOf").map(normalizeDn);
    const primary = primaryGroup(person)?.toString("hex");
    return found.flat().flatMap(({ dn, dns, sids }) =>
      own.some((group) => dns.has(group)) || primary !== undefined && sids.has(primary) ? [dn] : []
    );
  };
}

/** All groups of a person, direct and indirect. @throws {DirectoryError} */
export async function nestedGroupsOf(
  search: Search,
  dn: string,
  { groupBaseDn }: GroupBase,
): Promise<string[]> {
  const person = await entryOf(search, dn, FilterParser.parseString("(objectClass=*)"));
  if (!person) return [];
  const sid = primaryGroup(person);
  const primary = sid
    ? await search(groupBaseDn, groupsThat(new EqualityFilter({ attribute: "objectSid", value: sid })), ASKED)
    : [];
  const filters = [person, ...primary].map(({ dn }) =>
    new ExtensibleFilter({ matchType: "member", rule: TRANSITIVE, value: dn })
  );
  const around = await search(groupBaseDn, groupsThat(new OrFilter({ filters })), ASKED);
  return [...new Set([...primary, ...around].map(({ dn }) => dn))];
}

/** The responses of a domain to a DN that is not its own: a referral, no such object, or an invalid DN. */
const ELSEWHERE = [10, 32, 34];

const ASKED = { paged: true, attributes: ["objectSid"], explicitBufferAttributes: ["objectSid"] };

function groupsThat(filter: Filter): Filter {
  return new AndFilter({ filters: [FilterParser.parseString("(objectClass=group)"), filter] });
}

async function entryOf(search: Search, dn: string, filter: Filter): Promise<Entry | undefined> {
  try {
    const [entry] = await search(dn, filter, {
      scope: "base",
      attributes: [...GROUP_ATTRIBUTES],
      explicitBufferAttributes: ["objectSid"],
    });
    return entry;
  } catch (error) {
    const code = error instanceof DirectoryError && error.cause instanceof ResultCodeError &&
      error.cause.code;
    if (ELSEWHERE.some((each) => each === code)) return undefined;
    throw error;
  }
}

/** The SID of a person's primary group: the person's own SID with another last number ([MS-DTYP] 2.4.2.2). */
export function primaryGroup(person: Entry): Buffer | undefined {
  const sid = bytes(person, "objectSid");
  const number = Number(text(person, "primaryGroupID"));
  if (!sid || sid.length < 12 || !Number.isInteger(number) || number < 0 || number > 0xffff_ffff) {
    return undefined;
  }
  const group = Buffer.from(sid);
  group.writeUInt32LE(number, group.length - 4);
  return group;
}
