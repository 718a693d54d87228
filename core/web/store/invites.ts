/**
 * Invitations in the store: links that each add one device, once. It keeps a hash of the link's secret.
 *
 * @module
 */

import type { Queries, Row } from "./database.ts";
import type { Named } from "./groups.ts";
import { hashSecret, newId, newSecret } from "./ids.ts";

/** An invitation. */
export interface Invite {
  readonly id: string;
  readonly network: Named;
  /** The owner of the device; null for none. */
  readonly user: Named | null;
  readonly createdBy: string | null;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly usedAt: number | null;
}

/** An invitation to make. */
export interface NewInvite {
  readonly networkId: string;
  readonly userId?: string | undefined;
  readonly createdBy: string;
  readonly expiresAt: number;
}

/** Milliseconds for which a used invitation stays in the list. */
const REMEMBERED = 7 * 86_400_000;

const QUERY = `SELECT i.*, n.name AS network_name, u.name AS user_name FROM invites i
  JOIN networks n ON n.id = i.network_id LEFT JOIN users u ON u.id = i.user_id`;

/** Invitations in the store. */
export class Invites {
  readonly #queries: Queries;

  constructor(queries: Queries) {
    this.#queries = queries;
  }

  /** Makes an invitation. @returns The secret for the link, which is not stored. */
  async add(added: NewInvite, now: number): Promise<{ invite: Invite; secret: string }> {
    const id = newId();
    const secret = newSecret();
    await this.#queries.run(
      `INSERT INTO invites (id, token_hash, network_id, user_id, created_by, created_at, expires_at)
        VALUES (?, ?, ?, ?, ?, ?, ?)`,
      id,
      hashSecret(secret),
      added.networkId,
      added.userId ?? null,
      added.createdBy,
      now,
      added.expiresAt,
    );
    return { invite: invite((await this.#queries.get(`${QUERY} WHERE i.id = ?`, id))!), secret };
  }

  /** All invitations that are still valid, and those that were used recently, newest first. */
  async list(now: number): Promise<Invite[]> {
    const rows = await this.#queries.all(
      `${QUERY} WHERE i.used_at > ? OR i.used_at IS NULL AND i.expires_at > ? ORDER BY i.created_at DESC, i.id`,
      now - REMEMBERED,
      now,
    );
    return rows.map(invite);
  }

  /** The invitation of a secret. Undefined if there is none, or it was used or has expired. */
  async find(secret: string, now: number): Promise<Invite | undefined> {
    const row = await this.#queries.get(
      `${QUERY} WHERE i.token_hash = ? AND i.used_at IS NULL AND i.expires_at > ?`,
      hashSecret(secret),
      now,
    );
    return row && invite(row);
  }

  /** Uses an invitation, so that nobody else can use it. @returns False if it was used or removed, or has expired. */
  async take(id: string, now: number): Promise<boolean> {
    const taken = await this.#queries.run(
      "UPDATE invites SET used_at = ? WHERE id = ? AND used_at IS NULL AND expires_at > ?",
      now,
      id,
      now,
    );
    return taken > 0;
  }

  /** Makes an invitation valid again, in the transaction that removes its device. */
  async giveBack(id: string): Promise<void> {
    await this.#queries.run("UPDATE invites SET used_at = NULL WHERE id = ?", id);
  }

  /** @returns Whether it existed. */
  async remove(id: string): Promise<boolean> {
    return await this.#queries.run("DELETE FROM invites WHERE id = ?", id) > 0;
  }
}

function invite(row: Row): Invite {
  return {
    id: String(row.id),
    network: { id: String(row.network_id), name: String(row.network_name) },
    user: row.user_id === null ? null : { id: String(row.user_id), name: String(row.user_name) },
    createdBy: row.created_by as string | null,
    createdAt: Number(row.created_at),
    expiresAt: Number(row.expires_at),
    usedAt: row.used_at as number | null,
  };
}
