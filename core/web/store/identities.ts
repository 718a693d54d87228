/**
 * The identities of users in the store.
 *
 * @module
 */

import type { Queries, Row } from "./database.ts";
import { newId } from "./ids.ts";

/** The provider of local accounts. Others have the identifier of their row. */
export const LOCAL = "local";

/** An identity with which a user signs in. */
export interface Identity {
  readonly id: string;
  readonly userId: string;
  readonly kind: "local" | "ldap" | "oidc";
  /** `LOCAL`, or the provider's identifier. */
  readonly providerId: string;
  /**
   * The provider's permanent identifier: entryUUID, or the issuer's subject; for a local account the user's identifier.
   */
  readonly subject: string;
  /** The last name from the provider; null for a local account. */
  readonly name: string | null;
  /** The last groups from the provider. */
  readonly groupsSeen: readonly string[] | null;
  /** An argon2id hash of a local account's password. */
  readonly secretHash: string | null;
  /** The encrypted secret of the second factor. */
  readonly sealedTotp: string | null;
  /** The time step of the last code that was used. */
  readonly lastTotp: number | null;
}

/** Who disabled a user. A directory only enables users whom it has disabled. */
export type DisabledBy = "directory" | "administrator";

/** A user of a provider, for the comparison with its directory. */
export interface KnownIdentity {
  readonly userId: string;
  readonly identityId: string;
  readonly subject: string;
  /** Null if the user is not disabled. */
  readonly disabledBy: DisabledBy | null;
  /** Groups in which the user is because of the provider. */
  readonly groupIds: readonly string[];
}

/** Identities in the store. */
export class Identities {
  readonly #queries: Queries;

  constructor(queries: Queries) {
    this.#queries = queries;
  }

  /** An identity, by the identifier at its provider. */
  async find(providerId: string, subject: string): Promise<Identity | undefined> {
    const row = await this.#queries.get(
      "SELECT * FROM identities WHERE provider_id = ? AND subject = ?",
      providerId,
      subject,
    );
    return row && identity(row);
  }

  /** An identity of a provider, by its last name. */
  async findByName(providerId: string, name: string): Promise<Identity | undefined> {
    const row = await this.#queries.get(
      "SELECT * FROM identities WHERE provider_id = ? AND name = ? ORDER BY checked_at DESC LIMIT 1",
      providerId,
      name,
    );
    return row && identity(row);
  }

  /** All identities of a user. */
  async ofUser(userId: string): Promise<Identity[]> {
    const rows = await this.#queries.all(
      "SELECT * FROM identities WHERE user_id = ? ORDER BY kind, id",
      userId,
    );
    return rows.map(identity);
  }

  /** The providers of every user, and whether there is a second factor. */
  async byUser(): Promise<Map<string, Pick<Identity, "providerId" | "kind" | "sealedTotp">[]>> {
    const rows = await this.#queries.all("SELECT * FROM identities ORDER BY kind, id");
    return Map.groupBy(rows.map(identity), ({ userId }) => userId);
  }

  /** All users of a provider. */
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

  /** Adds an identity of a user. */
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

  /**
   * Sets the password of a local account, unless somebody else has set it meanwhile.
   *
   * @param identity The account with the hash of the password that the user has proved.
   * @returns Whether it was set.
   */
  async replacePassword(identity: Identity, hash: string): Promise<boolean> {
    const rows = await this.#queries.run(
      "UPDATE identities SET secret_hash = ? WHERE id = ? AND secret_hash = ?",
      hash,
      identity.id,
      identity.secretHash,
    );
    return rows > 0;
  }

  /** Sets or removes the second factor. */
  async setTotp(id: string, sealed: string | null): Promise<void> {
    await this.#queries.run(
      "UPDATE identities SET sealed_totp = ?, last_totp = NULL WHERE id = ?",
      sealed,
      id,
    );
  }

  /** Marks the code of a time step as used. @returns False if it, or a later one, was used before. */
  async useTotp(id: string, step: number): Promise<boolean> {
    const rows = await this.#queries.run(
      "UPDATE identities SET last_totp = ? WHERE id = ? AND (last_totp IS NULL OR last_totp < ?)",
      step,
      id,
      step,
    );
    return rows > 0;
  }

  /** Stores what a provider has reported about a user. */
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
