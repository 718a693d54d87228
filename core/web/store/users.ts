/**
 * Users in the store.
 *
 * @module
 */

import type { Queries, Row } from "./database.ts";
import { TakenError } from "./errors.ts";
import { isAdmin } from "./groups.ts";
import { type DisabledBy, type Identity, LOCAL } from "./identities.ts";
import { newId } from "./ids.ts";
import type { Role, User } from "./records.ts";

/** A user to add. */
export interface NewUser {
  readonly name: string;
  readonly email?: string | undefined;
  readonly role: Role;
  readonly expiresAt?: number | undefined;
  readonly maxDevices?: number | undefined;
  /** For a local account. */
  readonly passwordHash?: string | undefined;
  /** For an account of a provider. */
  readonly identity?: Pick<Identity, "kind" | "providerId" | "subject" | "name"> | undefined;
}

/** The values of a user that can be changed. */
export interface UserChange {
  readonly email?: string | null | undefined;
  readonly role?: Role | undefined;
  /** Who disables the user; null enables the user again. */
  readonly disabledBy?: DisabledBy | null | undefined;
  readonly reason?: string | null | undefined;
  readonly expiresAt?: number | null | undefined;
  readonly maxDevices?: number | null | undefined;
}

const COLUMNS = `u.*, CASE WHEN ${isAdmin("u.id")} THEN 'admin' ELSE 'user' END AS effective_role`;

/** Users in the store. */
export class Users {
  readonly #queries: Queries;

  constructor(queries: Queries) {
    this.#queries = queries;
  }

  /** The user with an identifier. */
  async find(id: string): Promise<User | undefined> {
    const row = await this.#queries.get(`SELECT ${COLUMNS} FROM users u WHERE u.id = ?`, id);
    return row && user(row);
  }

  /** The user with a name. */
  async findByName(name: string): Promise<User | undefined> {
    const row = await this.#queries.get(`SELECT ${COLUMNS} FROM users u WHERE u.name = ?`, name);
    return row && user(row);
  }

  /** All users, by name. */
  async list(): Promise<User[]> {
    return (await this.#queries.all(`SELECT ${COLUMNS} FROM users u ORDER BY u.name, u.id`)).map(user);
  }

  /** The number of administrators who are not disabled and have not expired. */
  async countAdmins(now: number): Promise<number> {
    const row = await this.#queries.get(
      `SELECT count(*) AS n FROM users u WHERE u.disabled_at IS NULL
        AND (u.expires_at IS NULL OR u.expires_at > ?) AND ${isAdmin("u.id")}`,
      now,
    );
    return Number(row!.n);
  }

  /** The number of devices of each user. */
  async deviceCounts(): Promise<Map<string, number>> {
    const rows = await this.#queries.all(
      "SELECT user_id, count(*) AS n FROM devices WHERE user_id IS NOT NULL GROUP BY user_id",
    );
    return new Map(rows.map((row) => [String(row.user_id), Number(row.n)]));
  }

  /** @throws {TakenError} If another user has the name. */
  async add(added: NewUser, now: number): Promise<User> {
    const id = newId();
    await this.#queries.transaction(async (queries) => {
      const rows = await queries.run(
        `INSERT INTO users (id, name, email, role, expires_at, max_devices, created_at)
          VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING`,
        id,
        added.name,
        added.email ?? null,
        added.role,
        added.expiresAt ?? null,
        added.maxDevices ?? null,
        now,
      );
      if (rows === 0) throw new TakenError(nameTaken(added.name), "name");
      await insertIdentities(queries, id, added);
    });
    return (await this.find(id))!;
  }

  /** Changes a user. `Peers.apply` then changes the peers of the user's devices. */
  async change(id: string, change: UserChange, now: number): Promise<User | undefined> {
    await this.#queries.transaction(async (queries) => {
      const row = await queries.get("SELECT * FROM users WHERE id = ?", id);
      if (!row) return;
      const { disabledBy } = change;
      await queries.run(
        `UPDATE users SET email = ?, role = ?, disabled_at = ?, disabled_by = ?, reason = ?, expires_at = ?,
          max_devices = ? WHERE id = ?`,
        change.email === undefined ? row.email! : change.email,
        change.role ?? row.role!,
        disabledBy === undefined ? row.disabled_at! : disabledBy === null ? null : row.disabled_at ?? now,
        disabledBy === undefined ? row.disabled_by! : disabledBy,
        change.reason === undefined ? disabledBy === null ? null : row.reason! : change.reason,
        change.expiresAt === undefined ? row.expires_at! : change.expiresAt,
        change.maxDevices === undefined ? row.max_devices! : change.maxDevices,
        id,
      );
    });
    return await this.find(id);
  }

  /**
   * Removes a user and everything that belongs to the user. The devices must be removed first, so that no peer is left.
   */
  async remove(id: string): Promise<boolean> {
    return await this.#queries.run("DELETE FROM users WHERE id = ?", id) > 0;
  }
}

async function insertIdentities(
  queries: Queries,
  userId: string,
  { passwordHash, identity }: NewUser,
): Promise<void> {
  const insert = (
    kind: string,
    providerId: string,
    subject: string,
    hash: string | null,
    name: string | null,
  ) =>
    queries.run(
      `INSERT INTO identities (id, user_id, kind, provider_id, subject, secret_hash, name)
        VALUES (?, ?, ?, ?, ?, ?, ?)`,
      newId(),
      userId,
      kind,
      providerId,
      subject,
      hash,
      name,
    );
  if (passwordHash !== undefined) await insert("local", LOCAL, userId, passwordHash, null);
  if (identity) await insert(identity.kind, identity.providerId, identity.subject, null, identity.name);
}

function user(row: Row): User {
  return {
    id: String(row.id),
    name: String(row.name),
    email: row.email as string | null,
    role: row.effective_role as Role,
    ownRole: row.role as Role,
    disabledAt: row.disabled_at as number | null,
    disabledBy: row.disabled_by as DisabledBy | null,
    reason: row.reason as string | null,
    expiresAt: row.expires_at as number | null,
    maxDevices: row.max_devices as number | null,
    createdAt: Number(row.created_at),
  };
}

/** The error's text if a name is in use. */
export function nameTaken(name: string): string {
  return `a user named "${name}" already exists`;
}
