/**
 * Sessions in the store. It keeps only a hash of the cookie's token, so a stolen database contains no valid sessions.
 *
 * @module
 */

import type { Queries, Row } from "./database.ts";
import { hashSecret, newId, newSecret } from "./ids.ts";
import type { Session } from "./records.ts";

/** The origin of a session. */
export interface SessionOrigin {
  readonly address?: string | undefined;
  readonly agent?: string | undefined;
}

/** Sessions in the store. */
export class Sessions {
  readonly #queries: Queries;

  constructor(queries: Queries) {
    this.#queries = queries;
  }

  /** Begins a session. @returns The token for the cookie, which is not stored. */
  async begin(
    userId: string,
    { address, agent }: SessionOrigin,
    now: number,
    expiresAt: number,
  ): Promise<{ id: string; token: string }> {
    const id = newId();
    const token = newSecret();
    await this.#queries.run(
      `INSERT INTO sessions (id, token_hash, user_id, created_at, used_at, expires_at, address, agent)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      id,
      hashSecret(token),
      userId,
      now,
      now,
      expiresAt,
      address ?? null,
      agent ?? null,
    );
    return { id, token };
  }

  /** The session of a cookie's token, if it has not ended. */
  async find(token: string, now: number): Promise<Session | undefined> {
    const row = await this.#queries.get(
      "SELECT * FROM sessions WHERE token_hash = ? AND expires_at > ?",
      hashSecret(token),
      now,
    );
    return row && session(row);
  }

  /** Updates the last use of a session. */
  async touch(id: string, now: number): Promise<void> {
    await this.#queries.run("UPDATE sessions SET used_at = ? WHERE id = ?", now, id);
  }

  /** A user's open sessions, most recently used first. */
  async listOf(userId: string, now: number): Promise<Session[]> {
    const rows = await this.#queries.all(
      "SELECT * FROM sessions WHERE user_id = ? AND expires_at > ? ORDER BY used_at DESC",
      userId,
      now,
    );
    return rows.map(session);
  }

  /** Ends one session of a user. @returns Whether it existed. */
  async end(userId: string, id: string): Promise<boolean> {
    return await this.#queries.run("DELETE FROM sessions WHERE user_id = ? AND id = ?", userId, id) > 0;
  }

  /** Ends all sessions of a user, except one. */
  async endAll(userId: string, except = ""): Promise<void> {
    await this.#queries.run("DELETE FROM sessions WHERE user_id = ? AND id <> ?", userId, except);
  }

  /** Deletes ended sessions. */
  async sweep(now: number): Promise<void> {
    await this.#queries.run("DELETE FROM sessions WHERE expires_at <= ?", now);
  }
}

function session(row: Row): Session {
  return {
    id: String(row.id),
    userId: String(row.user_id),
    createdAt: Number(row.created_at),
    usedAt: Number(row.used_at),
    expiresAt: Number(row.expires_at),
    address: row.address as string | null,
    agent: row.agent as string | null,
  };
}
