/**
 * The tables, as a list of migrations. New ones are only appended. A database stores which migrations have been
 * applied, and the others are applied when it is opened.
 *
 * There is no column for a private or a preshared key, so a stolen database gives no access to a tunnel.
 *
 * Identifiers are 128 random bits in base64url. Times are milliseconds since 1970. Lists are JSON. Integers have 64 bits.
 *
 * @module
 */

import type { Database, Dialect, Queries } from "./database.ts";

/** A newer wgd has used the database. */
export class SchemaError extends Error {
  /** Distinguishes this kind of error from others. */
  override name = "SchemaError";
}

/** The steps. */
export const STEPS: readonly (readonly string[])[] = [
  [
    `CREATE TABLE networks (
      id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, interface TEXT NOT NULL UNIQUE, addresses TEXT NOT NULL,
      endpoint TEXT NOT NULL, dns TEXT NOT NULL, allowed_ips TEXT NOT NULL, mtu INTEGER, keepalive INTEGER,
      public_key TEXT NOT NULL, listen_port INTEGER NOT NULL, created_at INTEGER NOT NULL)`,
    `CREATE TABLE pools (
      network_id TEXT NOT NULL REFERENCES networks(id) ON DELETE CASCADE, subnet TEXT NOT NULL,
      next_host INTEGER NOT NULL, PRIMARY KEY (network_id, subnet))`,
    `CREATE TABLE users (
      id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, email TEXT, role TEXT NOT NULL, disabled_at INTEGER,
      reason TEXT, expires_at INTEGER, max_devices INTEGER, created_at INTEGER NOT NULL)`,
    `CREATE TABLE providers (
      id TEXT PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL UNIQUE, settings TEXT NOT NULL,
      sealed_secret TEXT, enabled INTEGER NOT NULL, created_at INTEGER NOT NULL)`,
    `CREATE TABLE identities (
      id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE, kind TEXT NOT NULL,
      provider_id TEXT NOT NULL, subject TEXT NOT NULL, secret_hash TEXT, sealed_totp TEXT, last_totp INTEGER,
      checked_at INTEGER, UNIQUE (provider_id, subject))`,
    `CREATE INDEX identities_by_user ON identities (user_id)`,
    `CREATE TABLE groups (
      id TEXT PRIMARY KEY, name TEXT NOT NULL, provider_id TEXT NOT NULL, subject TEXT NOT NULL, role TEXT,
      created_at INTEGER NOT NULL, UNIQUE (provider_id, subject))`,
    `CREATE TABLE memberships (
      group_id TEXT NOT NULL REFERENCES groups(id) ON DELETE CASCADE,
      user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE, source TEXT NOT NULL,
      PRIMARY KEY (group_id, user_id))`,
    `CREATE INDEX memberships_by_user ON memberships (user_id)`,
    `CREATE TABLE accesses (
      group_id TEXT NOT NULL REFERENCES groups(id) ON DELETE CASCADE,
      network_id TEXT NOT NULL REFERENCES networks(id) ON DELETE CASCADE, PRIMARY KEY (group_id, network_id))`,
    // `cut` is the reason why the interface must not have the peer. If it is null, the interface has the peer.
    `CREATE TABLE devices (
      id TEXT PRIMARY KEY, network_id TEXT NOT NULL REFERENCES networks(id) ON DELETE CASCADE,
      user_id TEXT REFERENCES users(id) ON DELETE CASCADE, name TEXT NOT NULL, public_key TEXT NOT NULL,
      disabled_at INTEGER, reason TEXT, expires_at INTEGER, cut TEXT, search TEXT NOT NULL, created_at INTEGER NOT NULL,
      last_handshake_at INTEGER NOT NULL DEFAULT 0, endpoint TEXT, rx_bytes INTEGER NOT NULL DEFAULT 0,
      tx_bytes INTEGER NOT NULL DEFAULT 0, UNIQUE (network_id, public_key))`,
    `CREATE INDEX devices_by_name ON devices (name, id)`,
    `CREATE INDEX devices_by_creation ON devices (created_at, id)`,
    `CREATE INDEX devices_by_handshake ON devices (last_handshake_at, id)`,
    `CREATE INDEX devices_by_user ON devices (user_id)`,
    `CREATE TABLE addresses (
      network_id TEXT NOT NULL REFERENCES networks(id) ON DELETE CASCADE, ip TEXT NOT NULL, subnet TEXT NOT NULL,
      host INTEGER NOT NULL, device_id TEXT REFERENCES devices(id) ON DELETE CASCADE, PRIMARY KEY (network_id, ip))`,
    `CREATE INDEX addresses_by_host ON addresses (network_id, subnet, host)`,
    `CREATE INDEX addresses_by_device ON addresses (device_id)`,
    `CREATE TABLE invites (
      id TEXT PRIMARY KEY, token_hash TEXT NOT NULL UNIQUE, network_id TEXT NOT NULL REFERENCES networks(id) ON DELETE CASCADE,
      user_id TEXT REFERENCES users(id) ON DELETE CASCADE, created_by TEXT, created_at INTEGER NOT NULL,
      expires_at INTEGER NOT NULL, used_at INTEGER)`,
    `CREATE TABLE sessions (
      id TEXT PRIMARY KEY, token_hash TEXT NOT NULL UNIQUE, user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
      created_at INTEGER NOT NULL, used_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, address TEXT, agent TEXT)`,
    `CREATE INDEX sessions_by_user ON sessions (user_id)`,
    `CREATE TABLE tokens (
      id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, token_hash TEXT NOT NULL UNIQUE, scopes TEXT NOT NULL,
      created_at INTEGER NOT NULL, expires_at INTEGER, used_at INTEGER)`,
    `CREATE TABLE counters (
      device_id TEXT NOT NULL REFERENCES devices(id) ON DELETE CASCADE, gateway TEXT NOT NULL, rx_total INTEGER NOT NULL,
      tx_total INTEGER NOT NULL, rx_last INTEGER NOT NULL, tx_last INTEGER NOT NULL, PRIMARY KEY (device_id, gateway))`,
    ...["minute", "hour", "day"].map((step) =>
      `CREATE TABLE traffic_${step} (
        device_id TEXT NOT NULL REFERENCES devices(id) ON DELETE CASCADE, time INTEGER NOT NULL, rx INTEGER NOT NULL,
        tx INTEGER NOT NULL, PRIMARY KEY (device_id, time))`
    ),
    ...["minute", "hour"].map((step) => `CREATE INDEX traffic_${step}_by_time ON traffic_${step} (time)`),
    `CREATE TABLE events (
      number INTEGER PRIMARY KEY, time INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, target TEXT,
      address TEXT, detail TEXT NOT NULL, previous_hash TEXT NOT NULL, hash TEXT NOT NULL)`,
    `CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL)`,
  ],
  [
    // Who disabled a user, and the last name and groups from a provider.
    `ALTER TABLE users ADD COLUMN disabled_by TEXT`,
    `ALTER TABLE identities ADD COLUMN name TEXT`,
    `ALTER TABLE identities ADD COLUMN groups_seen TEXT`,
    `CREATE INDEX identities_by_name ON identities (provider_id, name)`,
    `CREATE INDEX memberships_by_source ON memberships (source)`,
  ],
  [
    // Traffic of all devices, including removed ones: a counter must not decrease.
    `ALTER TABLE networks ADD COLUMN rx_bytes INTEGER NOT NULL DEFAULT 0`,
    `ALTER TABLE networks ADD COLUMN tx_bytes INTEGER NOT NULL DEFAULT 0`,
    `UPDATE networks SET
      rx_bytes = (SELECT coalesce(sum(d.rx_bytes), 0) FROM devices d WHERE d.network_id = networks.id),
      tx_bytes = (SELECT coalesce(sum(d.tx_bytes), 0) FROM devices d WHERE d.network_id = networks.id)`,
    // For statements that count and find devices without reading every row.
    `CREATE INDEX devices_by_state ON devices (network_id, cut, last_handshake_at)`,
    `CREATE INDEX devices_by_expiry ON devices (expires_at)`,
    `CREATE INDEX users_by_expiry ON users (expires_at)`,
  ],
  [
    // Traffic that was counted while nothing was recorded: how it was distributed over that time is not known.
    `CREATE TABLE traffic_gaps (
      device_id TEXT NOT NULL REFERENCES devices(id) ON DELETE CASCADE, began_at INTEGER NOT NULL,
      ended_at INTEGER NOT NULL, rx INTEGER NOT NULL, tx INTEGER NOT NULL, PRIMARY KEY (device_id, ended_at))`,
    `CREATE TABLE recordings (
      network_id TEXT NOT NULL REFERENCES networks(id) ON DELETE CASCADE, gateway TEXT NOT NULL,
      recorded_at INTEGER NOT NULL, PRIMARY KEY (network_id, gateway))`,
    `INSERT INTO recordings (network_id, gateway, recorded_at) SELECT n.id, 'local', coalesce(
      (SELECT max(time) FROM traffic_minute), (SELECT max(time) FROM traffic_hour), n.created_at) FROM networks n`,
  ],
  [
    `ALTER TABLE devices ADD COLUMN routed_networks TEXT NOT NULL DEFAULT '[]'`,
    `CREATE INDEX devices_by_routed_networks ON devices (network_id) WHERE routed_networks <> '[]'`,
  ],
];

/**
 * Migrates a database. Two processes do this one after the other.
 *
 * @param steps The migrations; tests may pass some of them.
 * @throws {SchemaError} If a newer wgd has used it.
 */
export async function migrate(database: Database, steps = STEPS): Promise<void> {
  const { dialect } = database;
  await database.transaction(async (queries) => {
    const define = (statement: string) => queries.run(inDialect(statement, dialect));
    await define("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)");
    const version = await versionOf(queries, steps);
    if (version === steps.length) return;
    for (const statement of steps.slice(version).flat()) await define(statement);
    await queries.run("DELETE FROM schema_version");
    await queries.run("INSERT INTO schema_version (version) VALUES (?)", steps.length);
  });
}

/**
 * The number of migrations that were applied to a database.
 *
 * @throws {SchemaError} If a newer wgd has used it.
 */
export async function versionOf(queries: Queries, steps = STEPS): Promise<number> {
  const row = await queries.get("SELECT version FROM schema_version");
  const version = Number(row?.version ?? 0);
  if (version <= steps.length) return version;
  throw new SchemaError(
    `the database is of a newer wgd (step ${version} of its tables, and this one knows ${steps.length})`,
  );
}

/**
 * Converts a definition to a database's dialect. PostgreSQL then compares texts byte by byte, as SQLite does. Other
 * orders depend on the system's libraries, and an index becomes invalid when these change.
 */
function inDialect(statement: string, dialect: Dialect): string {
  // SQLite checks types only in STRICT tables.
  if (dialect === "sqlite") return statement.startsWith("CREATE TABLE") ? `${statement} STRICT` : statement;
  return statement.replaceAll(/\bINTEGER\b/g, "BIGINT").replaceAll(/\bTEXT\b/g, 'TEXT COLLATE "C"');
}
