/**
 * Users and how they prove who they are, in the store.
 *
 * @module
 */

import type { Database, Row } from "./database.ts";
import { TakenError } from "./errors.ts";
import { newId } from "./ids.ts";
import type { Role, User } from "./records.ts";

/** The provider of local accounts; others have the identifier of their row. */
export const LOCAL = "local";

/** How a user proves who they are. */
export interface Identity {
  readonly id: string;
  readonly userId: string;
  readonly kind: "local" | "ldap" | "oidc";
  /** `LOCAL`, or the provider's identifier. */
  readonly providerId: string;
  /** What the provider knows them by for ever: entryUUID, issuer's subject; of a local account the user's identifier. */
  readonly subject: string;
  /** An argon2id hash of a local account's password. */
  readonly secretHash: string | null;
}

/** A user to add. */
export interface NewUser {
  readonly name: string;
  readonly email?: string | undefined;
  readonly role: Role;
  readonly expiresAt?: number | undefined;
  readonly maxDevices?: number | undefined;
  /** Of a local account. */
  readonly passwordHash?: string | undefined;
}

/** Users in the store. */
export class Users {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** One, by their identifier. */
  async find(id: string): Promise<User | undefined> {
    const row = await this.#database.get("SELECT * FROM users WHERE id = ?", id);
    return row && user(row);
  }

  /** One, by the name that they sign in with. */
  async findByName(name: string): Promise<User | undefined> {
    const row = await this.#database.get("SELECT * FROM users WHERE name = ?", name);
    return row && user(row);
  }

  /** All, by name. */
  async list(): Promise<User[]> {
    return (await this.#database.all("SELECT * FROM users ORDER BY name, id")).map(user);
  }

  /** How many administrators there are that are not disabled. */
  async countAdmins(): Promise<number> {
    const row = await this.#database.get(
      "SELECT count(*) AS n FROM users WHERE role = 'admin' AND disabled_at IS NULL",
    );
    return Number(row!.n);
  }

  /** @throws {TakenError} If another user has the name. */
  async add(added: NewUser, now: number): Promise<User> {
    const id = newId();
    await this.#database.transaction(async (queries) => {
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
      if (rows === 0) throw new TakenError(`there is a user named "${added.name}" already`, "name");
      if (added.passwordHash !== undefined) {
        await queries.run(
          "INSERT INTO identities (id, user_id, kind, provider_id, subject, secret_hash) VALUES (?, ?, ?, ?, ?, ?)",
          newId(),
          id,
          "local",
          LOCAL,
          id,
          added.passwordHash,
        );
      }
    });
    return (await this.find(id))!;
  }

  /** The local identity of a user; undefined if they have none. */
  async localIdentity(userId: string): Promise<Identity | undefined> {
    const row = await this.#database.get(
      "SELECT * FROM identities WHERE provider_id = ? AND subject = ?",
      LOCAL,
      userId,
    );
    return row && identity(row);
  }
}

function user(row: Row): User {
  return {
    id: String(row.id),
    name: String(row.name),
    email: row.email as string | null,
    role: row.role as Role,
    disabledAt: row.disabled_at as number | null,
    reason: row.reason as string | null,
    expiresAt: row.expires_at as number | null,
    maxDevices: row.max_devices as number | null,
    createdAt: Number(row.created_at),
  };
}

function identity(row: Row): Identity {
  return {
    id: String(row.id),
    userId: String(row.user_id),
    kind: row.kind as Identity["kind"],
    providerId: String(row.provider_id),
    subject: String(row.subject),
    secretHash: row.secret_hash as string | null,
  };
}
