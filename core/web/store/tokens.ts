/**
 * API tokens in the store, which keeps their hashes.
 *
 * @module
 */

import type { Queries, Row } from "./database.ts";
import { TakenError } from "./errors.ts";
import { hashSecret, newId, newSecret } from "./ids.ts";
import type { Scope, Token } from "./records.ts";

/** The prefix of each token, by which programs that search for leaked secrets recognize it. */
const PREFIX = "wgd_";

/** API tokens in the store. */
export class Tokens {
  readonly #queries: Queries;

  constructor(queries: Queries) {
    this.#queries = queries;
  }

  /**
   * Makes a token.
   *
   * @returns The token for the program that uses it. It is not stored.
   * @throws {TakenError} If a token has this name.
   */
  async add(
    name: string,
    scopes: readonly Scope[],
    now: number,
    expiresAt?: number,
  ): Promise<{ token: Token; secret: string }> {
    const id = newId();
    const secret = PREFIX + newSecret();
    const rows = await this.#queries.run(
      `INSERT INTO tokens (id, name, token_hash, scopes, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT (name) DO NOTHING`,
      id,
      name,
      hashSecret(secret),
      JSON.stringify(scopes),
      now,
      expiresAt ?? null,
    );
    if (rows === 0) throw new TakenError(`a token named "${name}" already exists`, "name");
    return {
      token: { id, name, scopes: [...scopes], createdAt: now, expiresAt: expiresAt ?? null, usedAt: null },
      secret,
    };
  }

  /** The record of a token, if the token is valid. */
  async find(secret: string, now: number): Promise<Token | undefined> {
    const row = await this.#queries.get(
      "SELECT * FROM tokens WHERE token_hash = ? AND (expires_at IS NULL OR expires_at > ?)",
      hashSecret(secret),
      now,
    );
    return row && token(row);
  }

  /** Records that a token was used. */
  async touch(id: string, now: number): Promise<void> {
    await this.#queries.run("UPDATE tokens SET used_at = ? WHERE id = ?", now, id);
  }

  /** All tokens, by name. */
  async list(): Promise<Token[]> {
    return (await this.#queries.all("SELECT * FROM tokens ORDER BY name")).map(token);
  }

  /** @returns Whether it existed. */
  async remove(id: string): Promise<boolean> {
    return await this.#queries.run("DELETE FROM tokens WHERE id = ?", id) > 0;
  }
}

function token(row: Row): Token {
  return {
    id: String(row.id),
    name: String(row.name),
    scopes: JSON.parse(String(row.scopes)),
    createdAt: Number(row.created_at),
    expiresAt: row.expires_at as number | null,
    usedAt: row.used_at as number | null,
  };
}
