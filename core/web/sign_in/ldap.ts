/**
 * An LDAP directory: finds people, checks passwords, and reads groups. It is never changed.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { randomUUID } from "node:crypto";
import {
  AndFilter,
  type Entry,
  EqualityFilter,
  type Filter,
  FilterParser,
  InvalidCredentialsError,
  NoSuchObjectError,
  OrFilter,
  SizeLimitExceededError,
} from "ldapts";
import { code } from "../english.ts";
import { type AccountFault, accountFault } from "./ldap_account.ts";
import { GROUP_ATTRIBUTES } from "./active_directory.ts";
import { ANSWER, connect, type Connection, DirectoryError } from "./ldap_connection.ts";
import { directoryFault } from "./ldap_fault.ts";
import { bytes, type Search, text } from "./ldap_entry.ts";
import { allGroupsOf, findGroups } from "./ldap_groups.ts";
import type { FullLdapSettings } from "./ldap_settings.ts";

/** A person in a directory. */
export interface DirectoryPerson {
  /** Stays the same when the person is renamed or moved: entryUUID, or objectGUID in hexadecimal. */
  readonly subject: string;
  readonly dn: string;
  /** The name for signing in. */
  readonly name: string;
  readonly displayName: string | null;
  readonly email: string | null;
  /** Why the directory itself has disabled the account; null if it has not. */
  readonly disabled: AccountFault | null;
  /** Groups: all DNs for `memberOf`; only the requested ones with `member` or nested groups. */
  readonly groups: readonly string[];
}

/** The result of checking a password. */
export type DirectorySignIn =
  | { readonly outcome: "ok"; readonly person: DirectoryPerson }
  | { readonly outcome: "wrong" }
  | { readonly outcome: "disabled"; readonly person: DirectoryPerson };

/** The maximum number of people in one search, far below the 500 entries that OpenLDAP returns at most. */
const BATCH = 50;
/** Why there is no connection, for the log. */
const REFUSED = "refuses the account that searches";

/** An open connection, bound as the searching account. */
export class Directory implements AsyncDisposable {
  readonly #settings: FullLdapSettings;
  readonly #connection: Connection;
  readonly #now: () => number;

  private constructor(settings: FullLdapSettings, connection: Connection, now: () => number) {
    this.#settings = settings;
    this.#connection = connection;
    this.#now = now;
  }

  /**
   * Connects, with TLS as set, and binds.
   *
   * @param password The password of the searching account.
   * @param now For accounts that expire; ms since 1970.
   * @throws {DirectoryError} If that fails.
   */
  static async open(
    settings: FullLdapSettings,
    password: string | undefined,
    now: () => number,
  ): Promise<Directory> {
    const account = settings.bindDn;
    // An empty password would be an anonymous bind that succeeds (RFC 4513, section 5.1.2).
    if (account !== undefined && !password) {
      const error = new Error(`the password of ${account} is missing`);
      throw new DirectoryError(REFUSED, error, code("fault", "no-password", { account }));
    }
    const connection = await connect(settings);
    if (account === undefined) return new Directory(settings, connection, now);
    try {
      await connection.ask((client) => client.bind(account, password));
      return new Directory(settings, connection, now);
    } catch (error) {
      await connection.close();
      const fault = directoryFault(error, settings, { what: "bind", account });
      throw new DirectoryError(REFUSED, error, fault);
    }
  }

  /**
   * Finds the one person with a name.
   *
   * @param wanted Groups to search for, if the person's entry does not contain them all.
   * @returns Undefined if there is none, or more than one.
   * @throws {DirectoryError}
   */
  async find(name: string, wanted: readonly string[] = []): Promise<DirectoryPerson | undefined> {
    const entry = await this.findEntry(name);
    return entry && await this.read(entry, wanted);
  }

  /**
   * Finds the entry of the one person with a name, with a single search.
   *
   * @returns Undefined if there is none, or more than one.
   * @throws {DirectoryError}
   */
  async findEntry(name: string): Promise<Entry | undefined> {
    const { nameAttribute } = this.#settings;
    let entries;
    try {
      entries = await this.#people(new EqualityFilter({ attribute: nameAttribute, value: name }), 2);
    } catch (error) {
      // More than two entries. Some servers return this error instead of two entries.
      if (error instanceof DirectoryError && error.cause instanceof SizeLimitExceededError) return undefined;
      throw error;
    }
    const [entry] = entries;
    return entries.length === 1 && this.#hasIdentity(entry!) ? entry : undefined;
  }

  /**
   * Reads a person from an entry, and searches for the person's groups.
   *
   * @param entry From `findEntry`.
   * @param wanted Groups to search for, if the entry does not contain them all.
   * @throws {DirectoryError}
   */
  async read(entry: Entry, wanted: readonly string[]): Promise<DirectoryPerson> {
    const [person] = await this.#withGroups([entry], wanted);
    return person!;
  }

  /**
   * Searches for known people, in batches.
   *
   * @param subjects The identifiers of these people.
   * @param wanted Groups to search for, if the person's entry does not contain them all.
   * @returns Those who exist, by subject.
   * @throws {DirectoryError} If a response is incomplete. Then it shows nothing about any person.
   */
  async lookUp(
    subjects: readonly string[],
    wanted: readonly string[] = [],
  ): Promise<Map<string, DirectoryPerson>> {
    const entries: Entry[] = [];
    const { idAttribute: attribute, binaryId } = this.#settings;
    for (let at = 0; at < subjects.length; at += BATCH) {
      const filters = subjects.slice(at, at + BATCH).map((subject) =>
        new EqualityFilter({ attribute, value: binaryId ? Buffer.from(subject, "hex") : subject })
      );
      entries.push(...await this.#people(new OrFilter({ filters }), 2 * BATCH));
    }
    const people = await this.#withGroups(entries, wanted);
    return new Map(people.map((person) => [person.subject, person]));
  }

  /** All groups of a person that the person's entry does not contain. @throws {DirectoryError} */
  async groupsOf(person: DirectoryPerson): Promise<string[]> {
    return await allGroupsOf(this.#search, this.#settings, person);
  }

  /**
   * Whether the directory returns any person. If it returns none, it is assumed to hide them.
   *
   * @throws {DirectoryError}
   */
  async hasPeople(): Promise<boolean> {
    try {
      return (await this.#search(this.#settings.baseDn, FilterParser.parseString(this.#settings.userFilter), {
        sizeLimit: 1,
        attributes: ["1.1"],
      })).length > 0;
    } catch (error) {
      if (error instanceof DirectoryError && error.cause instanceof SizeLimitExceededError) return true;
      throw error;
    }
  }

  /** Ends the connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection.close();
  }

  async #people(filter: Filter, sizeLimit: number): Promise<Entry[]> {
    const { baseDn, userFilter, nameAttribute, idAttribute } = this.#settings;
    const both = new AndFilter({ filters: [FilterParser.parseString(userFilter), filter] });
    return await this.#search(baseDn, both, {
      sizeLimit,
      attributes: [
        idAttribute,
        nameAttribute,
        "displayName",
        "cn",
        "mail",
        ...GROUP_ATTRIBUTES,
        ...ACCOUNT_ATTRIBUTES,
      ],
      explicitBufferAttributes: [idAttribute, "objectSid"],
    });
  }

  readonly #search: Search = async (base, filter, options) => {
    try {
      const { searchEntries } = await this.#connection.ask((client) =>
        client.search(base, { scope: "sub", timeLimit: ANSWER / 1_000, filter, ...options })
      );
      return searchEntries;
    } catch (error) {
      const fault = directoryFault(error, this.#settings, { what: "search", base });
      throw new DirectoryError("returned an incomplete answer", error, fault);
    }
  };

  async #withGroups(entries: readonly Entry[], wanted: readonly string[]): Promise<DirectoryPerson[]> {
    const groupsOf = await findGroups(this.#search, this.#settings, wanted);
    return entries.flatMap((entry) => {
      const name = text(entry, this.#settings.nameAttribute);
      const subject = this.#subject(entry);
      if (name === undefined || subject === undefined) return [];
      return [{
        subject,
        dn: entry.dn,
        name,
        displayName: text(entry, "displayName") ?? text(entry, "cn") ?? null,
        email: text(entry, "mail") ?? null,
        disabled: accountFault((attribute) => text(entry, attribute), this.#now()),
        groups: groupsOf(entry),
      }];
    });
  }

  #hasIdentity(entry: Entry): boolean {
    return text(entry, this.#settings.nameAttribute) !== undefined && this.#subject(entry) !== undefined;
  }

  #subject(entry: Entry): string | undefined {
    return bytes(entry, this.#settings.idAttribute)?.toString(this.#settings.binaryId ? "hex" : "utf8");
  }
}

/**
 * Signs a person in: finds the entry, binds as that entry on a separate connection, then reads the groups.
 *
 * @param wanted Groups to search for, if the person's entry does not contain them all.
 * @throws {DirectoryError} If the directory does not respond.
 */
export async function signInByLdap(
  settings: FullLdapSettings,
  bindPassword: string | undefined,
  { name, password, wanted, now }: {
    name: string;
    password: string;
    wanted: readonly string[];
    now: () => number;
  },
): Promise<DirectorySignIn> {
  // A bind without a password is anonymous and succeeds for every name (CVE-2017-14623).
  if (password === "" || password.includes("\0") || name === "") return { outcome: "wrong" };
  await using directory = await Directory.open(settings, bindPassword, now);
  // The same requests are made for known and unknown names, because otherwise the time would reveal which names exist.
  // So a bind is also tried for unknown names, and groups are searched for only after a correct password.
  const entry = await directory.findEntry(name);
  const dn = entry?.dn ?? `cn=${randomUUID()},${settings.baseDn}`;
  const right = await bindsAs(settings, dn, password);
  if (!entry || !right) return { outcome: "wrong" };
  const person = await directory.read(entry, wanted);
  return person.disabled === null ? { outcome: "ok", person } : { outcome: "disabled", person };
}

async function bindsAs(settings: FullLdapSettings, dn: string, password: string): Promise<boolean> {
  const connection = await connect(settings);
  try {
    await connection.ask((client) => client.bind(dn, password));
    return true;
  } catch (error) {
    if (error instanceof InvalidCredentialsError || error instanceof NoSuchObjectError) return false;
    const fault = directoryFault(error, settings, { what: "bind", account: dn });
    throw new DirectoryError("did not check the password", error, fault);
  } finally {
    await connection.close();
  }
}

const ACCOUNT_ATTRIBUTES = ["userAccountControl", "accountExpires", "nsAccountLock", "pwdAccountLockedTime"];
