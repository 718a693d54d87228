/**
 * How users prove who they are, in the store.
 *
 * @module
 */

import type { Queries, Row } from "./database.ts";
import { newId } from "./ids.ts";

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
  /** What the provider last called them; null for a local account. */
  readonly name: string | null;
  /** The provider's groups that they were last seen in. */
  readonly groupsSeen: readonly string[] | null;
  /** An argon2id hash of a local account's password. */
  readonly secretHash: string | null;
  /** The secret of the second factor, sealed. */
  readonly sealedTotp: string | null;
  /** The time step of the last code that was used. */
  readonly lastTotp: number | null;
}

/** Who disabled a user: only the directory's own decision is taken back by the directory. */
export type DisabledBy = "directory" | "administrator";

/** A user whom a provider knows, for the comparison with its directory. */
export interface KnownIdentity {
  readonly userId: string;
  readonly identityId: string;
  readonly subject: string;
  /** Null if they are not disabled. */
  readonly disabledBy: DisabledBy | null;
  /** Groups that they are in because of the provider. */
  readonly groupIds: readonly string[];
}

/** Identities in the store. */
export class Identities {
  readonly #queries: Queries;

  constructor(queries: Queries) {
    this.#queries = queries;
  }

  /** One, by what its provider knows it by. */
  async find(providerId: string, subject: string): Promise<Identity | undefined> {
    const row = await this.#queries.get(
      "SELECT * FROM identities WHERE provider_id = ? AND subject = ?",
      providerId,
      subject,
    );
    return row && identity(row);
  }

  /** One of a provider, by the name that it was last seen with. */
  async findByName(providerId: string, name: string): Promise<Identity | undefined> {
    const row = await this.#queries.get(
      "SELECT * FROM identities WHERE provider_id = ? AND name = ? ORDER BY checked_at DESC LIMIT 1",
      providerId,
      name,
    );
    return row && identity(row);
  }

  /** All of a user. */
  async ofUser(userId: string): Promise<Identity[]> {
    const rows = await this.#queries.all(
      "SELECT * FROM identities WHERE user_id = ? ORDER BY kind, id",
      userId,
    );
    return rows.map(identity);
  }

  /** Of every user the providers, and whether there is a second factor. */
  async byUser(): Promise<Map<string, Pick<Identity, "providerId" | "kind" | "sealedTotp">[]>> {
    const rows = await this.#queries.all("SELECT * FROM identities ORDER BY kind, id");
    return Map.groupBy(rows.map(identity), ({ userId }) => userId);
  }

  /** Everybody whom a provider knows. */
  async ofProvider(providerId: string): Promise<KnownIdentity[]> {
    const rows = await this.#queries.all(
      `SELECT i.id, i.user_id, i.subject, u.disabled_at, u.disabled_by FROM identities i
        JOIN users u ON u.id = i.user_id WHERE i.provider_id = ? ORDER BY i.id`,
      providerId,
    );
    const memberships = Map.groupBy(
      await this.#queries.all("SELECT user_id, group_id FROM memberships WHERE source = ?", providerId),
      (row) => String(row.user_id),
    );
    return rows.map((row) => ({
      userId: String(row.user_id),
      identityId: String(row.id),
      subject: String(row.subject),
      disabledBy: row.disabled_at === null
        ? null
        : row.disabled_by === "directory"
        ? "directory"
        : "administrator",
      groupIds: (memberships.get(String(row.user_id)) ?? []).map((row) => String(row.group_id)),
    }));
  }

  /** Gives a user a way to sign in. */
  async link(
    userId: string,
    added: Pick<Identity, "kind" | "providerId" | "subject" | "name">,
  ): Promise<Identity> {
    const { kind, providerId, subject, name } = added;
    await this.#queries.run(
      "INSERT INTO identities (id, user_id, kind, provider_id, subject, name) VALUES (?, ?, ?, ?, ?, ?)",
      newId(),
      userId,
      kind,
      providerId,
      subject,
      name,
    );
    return (await this.find(providerId, subject))!;
  }

  /** Sets the password of a user's local account, and makes the account if there is none. */
  async setPassword(userId: string, hash: string): Promise<void> {
    await this.#queries.run(
      `INSERT INTO identities (id, user_id, kind, provider_id, subject, secret_hash) VALUES (?, ?, 'local', ?, ?, ?)
        ON CONFLICT (provider_id, subject) DO UPDATE SET secret_hash = excluded.secret_hash`,
      newId(),
      userId,
      LOCAL,
      userId,
      hash,
    );
  }

  /** Sets or removes the second factor. */
  async setTotp(id: string, sealed: string | null): Promise<void> {
    await this.#queries.run(
      "UPDATE identities SET sealed_totp = ?, last_totp = NULL WHERE id = ?",
      sealed,
      id,
    );
  }

  /** Notes that the code of a time step is used. @returns False if it, or a later one, was used before. */
  async useTotp(id: string, step: number): Promise<boolean> {
    const rows = await this.#queries.run(
      "UPDATE identities SET last_totp = ? WHERE id = ? AND (last_totp IS NULL OR last_totp < ?)",
      step,
      id,
      step,
    );
    return rows > 0;
  }

  /** Notes what a provider has said about somebody. */
  async seen(id: string, name: string, groups: readonly string[], now: number): Promise<void> {
    await this.#queries.run(
      "UPDATE identities SET name = ?, groups_seen = ?, checked_at = ? WHERE id = ?",
      name,
      JSON.stringify(groups),
      now,
      id,
    );
  }
}

function identity(row: Row): Identity {
  return {
    id: String(row.id),
    userId: String(row.user_id),
    kind: row.kind as Identity["kind"],
    providerId: String(row.provider_id),
    subject: String(row.subject),
    name: row.name as string | null,
    groupsSeen: typeof row.groups_seen === "string" ? JSON.parse(row.groups_seen) : null,
    secretHash: row.secret_hash as string | null,
    sealedTotp: row.sealed_totp as string | null,
    lastTotp: row.last_totp as number | null,
  };
}
