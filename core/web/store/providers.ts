/**
 * Sign-in providers in the store: directories and OpenID providers.
 *
 * @module
 */

import type { Queries, Row } from "./database.ts";
import { TakenError } from "./errors.ts";
import { newId } from "./ids.ts";

/** The protocol of a provider. */
export type ProviderKind = "ldap" | "oidc";

/** A sign-in provider. */
export interface Provider {
  readonly id: string;
  readonly kind: ProviderKind;
  readonly name: string;
  /** The settings, which depend on its kind. */
  readonly settings: unknown;
  /** The encrypted password of the searching account or secret of the client. */
  readonly sealedSecret: string | null;
  /** Whether people may sign in with it. */
  readonly enabled: boolean;
  readonly createdAt: number;
}

/** The settings of a provider that can be changed. */
export type ProviderFields = Pick<Provider, "name" | "settings" | "sealedSecret" | "enabled">;

/** Providers in the store. */
export class Providers {
  readonly #queries: Queries;

  constructor(queries: Queries) {
    this.#queries = queries;
  }

  /** All providers, by name. */
  async list(): Promise<Provider[]> {
    return (await this.#queries.all("SELECT * FROM providers ORDER BY name")).map(provider);
  }

  /** The provider with an identifier. */
  async find(id: string): Promise<Provider | undefined> {
    const row = await this.#queries.get("SELECT * FROM providers WHERE id = ?", id);
    return row && provider(row);
  }

  /**
   * Adds a provider.
   *
   * @param seal Encrypts its secret. The result is bound to the provider's identifier.
   * @throws {TakenError} If another provider has the name.
   */
  async add(
    kind: ProviderKind,
    { name, settings, enabled }: Omit<ProviderFields, "sealedSecret">,
    seal: (id: string) => string | null,
    now: number,
  ): Promise<Provider> {
    const id = newId();
    const rows = await this.#queries.run(
      `INSERT INTO providers (id, kind, name, settings, sealed_secret, enabled, created_at)
        VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING`,
      id,
      kind,
      name,
      JSON.stringify(settings),
      seal(id),
      enabled ? 1 : 0,
      now,
    );
    if (rows === 0) throw new TakenError(`a provider named "${name}" already exists`, "name");
    return (await this.find(id))!;
  }

  /** @throws {TakenError} If another provider has the name. */
  async change(id: string, change: Partial<ProviderFields>): Promise<Provider | undefined> {
    await this.#queries.transaction(async (queries) => {
      const row = await queries.get("SELECT * FROM providers WHERE id = ?", id);
      if (!row) return;
      const before = provider(row);
      const { name, settings, sealedSecret, enabled } = { ...before, ...change };
      if (await queries.get("SELECT id FROM providers WHERE name = ? AND id <> ?", name, id)) {
        throw new TakenError(`a provider named "${name}" already exists`, "name");
      }
      await queries.run(
        "UPDATE providers SET name = ?, settings = ?, sealed_secret = ?, enabled = ? WHERE id = ?",
        name,
        JSON.stringify(settings),
        sealedSecret,
        enabled ? 1 : 0,
        id,
      );
    });
    return await this.find(id);
  }

  /** Removes a provider with its groups and identities. Its users stay. */
  async remove(id: string): Promise<boolean> {
    return await this.#queries.transaction(async (queries) => {
      await queries.run("DELETE FROM memberships WHERE source = ?", id);
      await queries.run("DELETE FROM groups WHERE provider_id = ?", id);
      await queries.run("DELETE FROM identities WHERE provider_id = ?", id);
      return await queries.run("DELETE FROM providers WHERE id = ?", id) > 0;
    });
  }
}

function provider(row: Row): Provider {
  return {
    id: String(row.id),
    kind: row.kind as ProviderKind,
    name: String(row.name),
    settings: JSON.parse(String(row.settings)),
    sealedSecret: row.sealed_secret as string | null,
    enabled: row.enabled === 1,
    createdAt: Number(row.created_at),
  };
}
