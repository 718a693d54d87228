/**
 * Groups in the store: their members, and the networks and the role that they give.
 *
 * @module
 */

import type { Queries, Row } from "./database.ts";
import { TakenError } from "./errors.ts";
import { LOCAL } from "./identities.ts";
import { newId } from "./ids.ts";
import type { Role } from "./records.ts";

/** Something with a name. */
export interface Named {
  readonly id: string;
  readonly name: string;
}

/** A group. */
export interface Group {
  readonly id: string;
  readonly name: string;
  /** The provider's group that it stands for; null for a group of this server. */
  readonly source: { readonly provider: Named; readonly name: string } | null;
  readonly role: Role;
  /** The number of users in it. */
  readonly members: number;
  readonly networks: readonly Named[];
}

/** The settings of a group. */
export interface GroupFields {
  readonly name: string;
  readonly role: Role;
  readonly networkIds: readonly string[];
}

const COLUMNS = "g.id, g.name, g.provider_id, g.subject, g.role, p.name AS provider_name";
const TABLES = "groups g LEFT JOIN providers p ON p.id = g.provider_id";

/** Groups in the store. */
export class Groups {
  readonly #queries: Queries;

  constructor(queries: Queries) {
    this.#queries = queries;
  }

  /** All groups, by name. */
  async list(): Promise<Group[]> {
    return await this.#complete(
      await this.#queries.all(`SELECT ${COLUMNS} FROM ${TABLES} ORDER BY g.name, g.id`),
    );
  }

  /** The group with an identifier. */
  async find(id: string): Promise<Group | undefined> {
    return (await this.#complete(
      await this.#queries.all(`SELECT ${COLUMNS} FROM ${TABLES} WHERE g.id = ?`, id),
    ))[0];
  }

  /** The groups of a user, by name. */
  async ofUser(userId: string): Promise<Named[]> {
    const rows = await this.#queries.all(
      `SELECT g.id, g.name FROM groups g JOIN memberships m ON m.group_id = g.id WHERE m.user_id = ?
        ORDER BY g.name, g.id`,
      userId,
    );
    return rows.map(named);
  }

  /** The groups of every user. */
  async byUser(): Promise<Map<string, Named[]>> {
    const rows = await this.#queries.all(
      "SELECT m.user_id, g.id, g.name FROM memberships m JOIN groups g ON g.id = m.group_id ORDER BY g.name, g.id",
    );
    const byUser = new Map<string, Named[]>();
    for (const row of rows) {
      const groups = byUser.get(String(row.user_id));
      if (groups) groups.push(named(row));
      else byUser.set(String(row.user_id), [named(row)]);
    }
    return byUser;
  }

  /** The groups that correspond to a provider's groups, with those groups. */
  async ofProvider(providerId: string): Promise<(Named & { readonly subject: string })[]> {
    const rows = await this.#queries.all(
      "SELECT id, name, subject FROM groups WHERE provider_id = ? ORDER BY name, id",
      providerId,
    );
    return rows.map((row) => ({ ...named(row), subject: String(row.subject) }));
  }

  /**
   * Adds a group.
   *
   * @param source The provider's group that it stands for; without one it is a group of this server.
   * @throws {TakenError} If there already is one for it, or another group has the name.
   */
  async add(
    { name, role, networkIds }: GroupFields,
    source: { readonly providerId: string; readonly subject: string } | undefined,
    now: number,
  ): Promise<Group> {
    const id = newId();
    await this.#queries.transaction(async (queries) => {
      await requireFree(queries, name, id);
      const rows = await queries.run(
        `INSERT INTO groups (id, name, provider_id, subject, role, created_at) VALUES (?, ?, ?, ?, ?, ?)
          ON CONFLICT (provider_id, subject) DO NOTHING`,
        id,
        name,
        source?.providerId ?? LOCAL,
        source?.subject ?? id,
        role,
        now,
      );
      if (rows === 0) {
        throw new TakenError("there is already a group for this group of the provider", "source");
      }
      await writeAccesses(queries, id, networkIds);
    });
    return (await this.find(id))!;
  }

  /** @throws {TakenError} If another has the name. */
  async change(id: string, change: Partial<GroupFields>): Promise<Group | undefined> {
    await this.#queries.transaction(async (queries) => {
      const row = await queries.get("SELECT * FROM groups WHERE id = ?", id);
      if (!row) return;
      if (change.name !== undefined) await requireFree(queries, change.name, id);
      await queries.run(
        "UPDATE groups SET name = ?, role = ? WHERE id = ?",
        change.name ?? row.name!,
        change.role ?? row.role!,
        id,
      );
      if (change.networkIds) await writeAccesses(queries, id, change.networkIds);
    });
    return await this.find(id);
  }

  /** @returns Whether it existed. */
  async remove(id: string): Promise<boolean> {
    return await this.#queries.run("DELETE FROM groups WHERE id = ?", id) > 0;
  }

  /**
   * Sets the groups of a user that come from one source; those from others stay.
   *
   * @param source `LOCAL`, or the provider's identifier.
   */
  async setOfUser(userId: string, source: string, groupIds: readonly string[]): Promise<void> {
    await this.#queries.transaction(async (queries) => {
      await queries.run("DELETE FROM memberships WHERE user_id = ? AND source = ?", userId, source);
      await queries.runMany(
        "INSERT INTO memberships (group_id, user_id, source) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [...new Set(groupIds)].map((groupId) => [groupId, userId, source]),
      );
    });
  }

  /** Identifiers of the users in a group. */
  async memberIds(id: string): Promise<string[]> {
    const rows = await this.#queries.all("SELECT user_id FROM memberships WHERE group_id = ?", id);
    return rows.map((row) => String(row.user_id));
  }

  /** Identifiers of the users whom a provider has put into groups, or who are in groups that stand for its groups. */
  async memberIdsOfProvider(providerId: string): Promise<string[]> {
    const rows = await this.#queries.all(
      `SELECT DISTINCT user_id FROM memberships WHERE source = ?
        OR group_id IN (SELECT id FROM groups WHERE provider_id = ?)`,
      providerId,
      providerId,
    );
    return rows.map((row) => String(row.user_id));
  }

  /** Identifiers of the groups that a source has assigned to a user. */
  async fromSource(userId: string, source: string): Promise<string[]> {
    const rows = await this.#queries.all(
      "SELECT group_id FROM memberships WHERE user_id = ? AND source = ?",
      userId,
      source,
    );
    return rows.map((row) => String(row.group_id));
  }

  /** The networks that a user may use, by name. */
  async networksOf(userId: string): Promise<Named[]> {
    const rows = await this.#queries.all(
      `SELECT n.id, n.name FROM users u, networks n WHERE u.id = ? AND ${givesAccess("n.id", "u.id")}
        ORDER BY n.name`,
      userId,
    );
    return rows.map(named);
  }

  async #complete(rows: readonly Row[]): Promise<Group[]> {
    const counts = await this.#queries.all(
      "SELECT group_id, count(*) AS n FROM memberships GROUP BY group_id",
    );
    const members = new Map(counts.map((row) => [row.group_id, Number(row.n)]));
    const accesses = await this.#queries.all(
      "SELECT a.group_id, n.id, n.name FROM accesses a JOIN networks n ON n.id = a.network_id ORDER BY n.name",
    );
    const networks = Map.groupBy(accesses, (row) => row.group_id);
    return rows.map((row) => ({
      ...named(row),
      source: row.provider_id === LOCAL ? null : {
        provider: { id: String(row.provider_id), name: String(row.provider_name) },
        name: String(row.subject),
      },
      role: row.role === "admin" ? "admin" : "user",
      members: members.get(row.id!) ?? 0,
      networks: (networks.get(row.id!) ?? []).map(named),
    }));
  }
}

/**
 * SQL for whether a user may use a network. That is so if the user is an administrator, directly or through a group, or
 * if a group gives access to the network.
 *
 * @param network An expression for the network's identifier.
 * @param user An expression for the user's identifier.
 */
export function givesAccess(network: string, user: string): string {
  return `(${
    isAdmin(user)
  } OR EXISTS (SELECT 1 FROM memberships am JOIN accesses aa ON aa.group_id = am.group_id
    WHERE am.user_id = ${user} AND aa.network_id = ${network}))`;
}

/** SQL for whether a user is an administrator, directly or through a group. */
export function isAdmin(user: string): string {
  return `(EXISTS (SELECT 1 FROM users au WHERE au.id = ${user} AND au.role = 'admin')
    OR EXISTS (SELECT 1 FROM memberships bm JOIN groups bg ON bg.id = bm.group_id
      WHERE bm.user_id = ${user} AND bg.role = 'admin'))`;
}

function named(row: Row): Named {
  return { id: String(row.id), name: String(row.name) };
}

async function requireFree(queries: Queries, name: string, id: string): Promise<void> {
  const other = await queries.get("SELECT id FROM groups WHERE name = ? AND id <> ?", name, id);
  if (other) throw new TakenError(`a group named "${name}" already exists`, "name");
}

async function writeAccesses(
  queries: Queries,
  groupId: string,
  networkIds: readonly string[],
): Promise<void> {
  await queries.run("DELETE FROM accesses WHERE group_id = ?", groupId);
  await queries.runMany(
    "INSERT INTO accesses (group_id, network_id) VALUES (?, ?)",
    [...new Set(networkIds)].map((networkId) => [groupId, networkId]),
  );
}
