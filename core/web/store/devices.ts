/**
 * Devices in the store.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Queries, Row, Value } from "./database.ts";
import { TakenError } from "./errors.ts";
import { givesAccess } from "./groups.ts";
import { newId } from "./ids.ts";
import { giveAddresses, keepAddresses } from "./networks.ts";
import type {
  Cut,
  Device,
  DeviceChange,
  DeviceQuery,
  DeviceSort,
  DeviceState,
  NewDevice,
  Page,
} from "./records.ts";

/** Milliseconds after a handshake in which a session lives, so that a peer counts as connected (whitepaper section 6.1). */
export const ONLINE_FOR = 180_000;

const COLUMNS = `d.id, d.name, d.public_key, d.disabled_at, d.reason, d.expires_at, d.cut, d.created_at,
  d.last_handshake_at, d.endpoint, d.rx_bytes, d.tx_bytes, n.id AS network_id, n.name AS network_name,
  n.interface, u.id AS user_id, u.name AS user_name`;
const TABLES = "devices d JOIN networks n ON n.id = d.network_id LEFT JOIN users u ON u.id = d.user_id";

/** Why a device must be cut off at a time; null if it need not. One `?` for the time in each of two places. */
const WANTED_CUT = `CASE WHEN d.disabled_at IS NOT NULL THEN 'disabled' WHEN d.expires_at <= ? THEN 'expired'
  WHEN u.disabled_at IS NOT NULL THEN 'user-disabled' WHEN u.expires_at <= ? THEN 'user-expired'
  WHEN d.user_id IS NOT NULL AND NOT ${givesAccess("d.network_id", "d.user_id")} THEN 'no-access' END`;

/** A device whose peer has to come or go. */
export interface CutChange {
  readonly id: string;
  readonly interface: string;
  readonly publicKey: string;
  /** Null if it may connect from now on. */
  readonly cut: Cut | null;
}

/** What the devices of a network add up to. */
export interface NetworkSummary {
  /** Its name. */
  readonly network: string;
  readonly states: Readonly<Record<DeviceState, number>>;
  readonly rxBytes: number;
  readonly txBytes: number;
}

/** Devices in the store. */
export class Devices {
  readonly #queries: Queries;

  constructor(queries: Queries) {
    this.#queries = queries;
  }

  /** One, by its identifier. */
  async find(id: string): Promise<Device | undefined> {
    const row = await this.#queries.get(`SELECT ${COLUMNS} FROM ${TABLES} WHERE d.id = ?`, id);
    return row && (await withAddresses(this.#queries, [row]))[0];
  }

  /**
   * Adds a device and gives it its addresses.
   *
   * @throws {TakenError} If the network has the public key already.
   * @throws {NetworkFullError} If no address is left.
   */
  async add(added: NewDevice, now: number): Promise<Device> {
    const id = newId();
    await this.#queries.transaction((queries) => insert(queries, id, added, now));
    return (await this.find(id))!;
  }

  /** Changes a device. What that means for its peer, `takeCutChanges` tells. */
  async change(id: string, change: DeviceChange): Promise<Device | undefined> {
    await this.#queries.transaction(async (queries) => {
      const row = await queries.get("SELECT * FROM devices WHERE id = ?", id);
      if (!row) return;
      await queries.run(
        "UPDATE devices SET name = ?, disabled_at = ?, reason = ?, expires_at = ?, user_id = ? WHERE id = ?",
        change.name ?? row.name!,
        change.disabledAt === undefined ? row.disabled_at! : change.disabledAt,
        change.reason === undefined ? row.reason! : change.reason,
        change.expiresAt === undefined ? row.expires_at! : change.expiresAt,
        change.ownerId === undefined ? row.user_id! : change.ownerId,
        id,
      );
      await writeSearch(queries, id);
    });
    return await this.find(id);
  }

  /** Removes a device; its addresses are free then. @returns What it was. */
  async remove(id: string): Promise<Device | undefined> {
    const device = await this.find(id);
    if (device) await this.#queries.run("DELETE FROM devices WHERE id = ?", id);
    return device;
  }

  /** A part of the list. */
  async list(query: DeviceQuery, now: number): Promise<Page<Device>> {
    const { sql, values } = conditions(query, now);
    const column = SORT[query.sort ?? "name"];
    const order = query.descending ? "DESC" : "ASC";
    const after = readCursor(query.cursor, query.sort ?? "name");
    const beyond = after ? ` AND (${column}, d.id) ${query.descending ? "<" : ">"} (?, ?)` : "";
    const limit = Math.min(Math.max(query.limit ?? 50, 1), 1000);
    const rows = await this.#queries.all(
      `SELECT ${COLUMNS}, ${column} AS sorted FROM ${TABLES} WHERE ${sql}${beyond}
        ORDER BY ${column} ${order}, d.id ${order} LIMIT ${limit + 1}`,
      ...values,
      ...after ?? [],
    );
    // All that there is, if it is less than was asked for: a search that finds little need not look through all twice.
    const isAll = !after && rows.length <= limit;
    const total = isAll
      ? rows.length
      : Number((await this.#queries.get(`SELECT count(*) AS n FROM ${TABLES} WHERE ${sql}`, ...values))!.n);
    const last = rows.length > limit ? rows[limit - 1]! : undefined;
    return {
      items: await withAddresses(this.#queries, rows.slice(0, limit)),
      next: last ? writeCursor(last.sorted!, String(last.id)) : null,
      total,
    };
  }

  /** The devices of a network that may connect, for its interface. */
  async admitted(networkId: string): Promise<{ publicKey: string; addresses: string[] }[]> {
    const rows = await this.#queries.all(
      `SELECT d.public_key, a.ip FROM devices d JOIN addresses a ON a.device_id = d.id
        WHERE d.network_id = ? AND d.cut IS NULL ORDER BY d.public_key`,
      networkId,
    );
    const peers = new Map<string, string[]>();
    for (const { public_key, ip } of rows) {
      const addresses = peers.get(String(public_key));
      if (addresses) addresses.push(String(ip));
      else peers.set(String(public_key), [String(ip)]);
    }
    return [...peers].map(([publicKey, addresses]) => ({ publicKey, addresses }));
  }

  /** Finds the devices whose peers have to come or go by now, and notes that they do. */
  async takeCutChanges(now: number): Promise<CutChange[]> {
    return await this.#queries.transaction(async (queries) => {
      const rows = await queries.all(
        `SELECT d.id, d.public_key, n.interface, ${WANTED_CUT} AS wanted FROM ${TABLES}
          WHERE d.cut IS DISTINCT FROM ${WANTED_CUT}`,
        now,
        now,
        now,
        now,
      );
      await queries.runMany(
        "UPDATE devices SET cut = ? WHERE id = ?",
        rows.map((row) => [row.wanted!, row.id!]),
      );
      return rows.map((row) => ({
        id: String(row.id),
        interface: String(row.interface),
        publicKey: String(row.public_key),
        cut: row.wanted as Cut | null,
      }));
    });
  }

  /** When the next device or user expires; undefined if none does. */
  async nextExpiry(now: number): Promise<number | undefined> {
    const row = await this.#queries.get(
      `SELECT min(at) AS at FROM (SELECT min(expires_at) AS at FROM devices WHERE expires_at > ?
        UNION ALL SELECT min(expires_at) AS at FROM users WHERE expires_at > ?) AS both_kinds`,
      now,
      now,
    );
    return row?.at === null || row?.at === undefined ? undefined : Number(row.at);
  }

  /** What all devices of each network add up to. */
  async summaries(now: number): Promise<NetworkSummary[]> {
    const rows = await this.#queries.all(
      `SELECT n.name,
        coalesce(sum(CASE WHEN d.cut IN ('expired', 'user-expired') THEN 1 ELSE 0 END), 0) AS expired,
        coalesce(sum(CASE WHEN d.cut IN ('disabled', 'user-disabled', 'no-access') THEN 1 ELSE 0 END), 0) AS disabled,
        coalesce(sum(CASE WHEN d.cut IS NULL AND d.last_handshake_at = 0 THEN 1 ELSE 0 END), 0) AS never,
        coalesce(sum(CASE WHEN d.cut IS NULL AND d.last_handshake_at > ? THEN 1 ELSE 0 END), 0) AS online,
        count(d.id) AS devices, coalesce(sum(d.rx_bytes), 0) AS rx, coalesce(sum(d.tx_bytes), 0) AS tx
        FROM networks n LEFT JOIN devices d ON d.network_id = n.id GROUP BY n.name ORDER BY n.name`,
      now - ONLINE_FOR,
    );
    return rows.map((row) => {
      const [online, never, expired, disabled] = [row.online, row.never, row.expired, row.disabled].map(
        Number,
      );
      const idle = Number(row.devices) - online! - never! - expired! - disabled!;
      return {
        network: String(row.name),
        states: { online: online!, idle, never: never!, expired: expired!, disabled: disabled! },
        rxBytes: Number(row.rx),
        txBytes: Number(row.tx),
      };
    });
  }

  /** How many devices a user has. */
  async countOf(userId: string): Promise<number> {
    const row = await this.#queries.get("SELECT count(*) AS n FROM devices WHERE user_id = ?", userId);
    return Number(row!.n);
  }
}

const SORT: Readonly<Record<DeviceSort, string>> = {
  name: "d.name",
  created: "d.created_at",
  handshake: "d.last_handshake_at",
};

async function insert(queries: Queries, id: string, added: NewDevice, now: number): Promise<void> {
  const rows = await queries.run(
    `INSERT INTO devices (id, network_id, user_id, name, public_key, expires_at, search, created_at)
      VALUES (?, ?, ?, ?, ?, ?, '', ?) ON CONFLICT (network_id, public_key) DO NOTHING`,
    id,
    added.networkId,
    added.ownerId ?? null,
    added.name,
    added.publicKey,
    added.expiresAt ?? null,
    now,
  );
  if (rows === 0) throw new TakenError("this network has a device with this public key already", "publicKey");
  if (added.addresses) await keepAddresses(queries, added.networkId, id, added.addresses);
  else await giveAddresses(queries, added.networkId, id);
  await writeSearch(queries, id);
}

/** Brings what a search looks at up to date: a column, so that it needs to look at nothing else. */
async function writeSearch(queries: Queries, id: string): Promise<void> {
  const row = await queries.get(
    `SELECT d.name, d.public_key, u.name AS user_name FROM ${TABLES} WHERE d.id = ?`,
    id,
  );
  const addresses = await queries.all("SELECT ip FROM addresses WHERE device_id = ?", id);
  const words = [row!.name, row!.user_name, row!.public_key, ...addresses.map(({ ip }) => ip)];
  await queries.run(
    "UPDATE devices SET search = ? WHERE id = ?",
    words.filter((word) => word !== null).join("\n").toLowerCase(),
    id,
  );
}

function conditions(query: DeviceQuery, now: number): { sql: string; values: Value[] } {
  const all: string[] = ["1 = 1"];
  const values: Value[] = [];
  const add = (sql: string, ...more: Value[]) => {
    all.push(sql);
    values.push(...more);
  };
  if (query.networkId !== undefined) add("d.network_id = ?", query.networkId);
  if (query.ownerId !== undefined) add("d.user_id = ?", query.ownerId);
  for (const word of query.search?.toLowerCase().split(/\s+/).filter(Boolean) ?? []) {
    add("d.search LIKE ? ESCAPE '\\'", `%${word.replace(/[\\%_]/g, "\\$&")}%`);
  }
  switch (query.state) {
    case "disabled":
      add("d.cut IN ('disabled', 'user-disabled', 'no-access')");
      break;
    case "expired":
      add("d.cut IN ('expired', 'user-expired')");
      break;
    case "never":
      // The plus keeps SQLite from an index by handshakes, after which it would sort all that never connected.
      add("d.cut IS NULL AND +d.last_handshake_at = 0");
      break;
    case "online":
      add("d.cut IS NULL AND d.last_handshake_at > ?", now - ONLINE_FOR);
      break;
    case "idle":
      add("d.cut IS NULL AND d.last_handshake_at > 0 AND d.last_handshake_at <= ?", now - ONLINE_FOR);
  }
  return { sql: all.join(" AND "), values };
}

/** What a device is doing. */
export function stateOf(
  { cut, lastHandshakeAt }: Pick<Device, "cut" | "lastHandshakeAt">,
  now: number,
): DeviceState {
  if (cut !== null) return cut === "expired" || cut === "user-expired" ? "expired" : "disabled";
  if (lastHandshakeAt === 0) return "never";
  return lastHandshakeAt > now - ONLINE_FOR ? "online" : "idle";
}

function writeCursor(value: Value, id: string): string {
  return Buffer.from(JSON.stringify([value, id])).toString("base64url");
}

/** A cursor that cannot be read, or is of another order, begins at the start. */
function readCursor(cursor: string | undefined, sort: DeviceSort): [Value, string] | undefined {
  if (cursor === undefined) return undefined;
  try {
    const read: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString());
    if (!Array.isArray(read) || typeof read[1] !== "string") return undefined;
    const fits = sort === "name" ? typeof read[0] === "string" : Number.isSafeInteger(read[0]);
    return fits ? [read[0], read[1]] : undefined;
  } catch {
    return undefined;
  }
}

async function withAddresses(queries: Queries, rows: readonly Row[]): Promise<Device[]> {
  if (rows.length === 0) return [];
  const found = await queries.all(
    `SELECT device_id, ip FROM addresses WHERE device_id IN (${
      rows.map(() => "?").join(", ")
    }) ORDER BY subnet`,
    ...rows.map(({ id }) => id!),
  );
  const addresses = Map.groupBy(found, (row) => String(row.device_id));
  return rows.map((row) => ({
    id: String(row.id),
    network: {
      id: String(row.network_id),
      name: String(row.network_name),
      interface: String(row.interface),
    },
    name: String(row.name),
    owner: row.user_id === null ? null : { id: String(row.user_id), name: String(row.user_name) },
    publicKey: String(row.public_key),
    addresses: (addresses.get(String(row.id)) ?? []).map(({ ip }) => String(ip)),
    disabledAt: row.disabled_at as number | null,
    reason: row.reason as string | null,
    expiresAt: row.expires_at as number | null,
    cut: row.cut as Cut | null,
    createdAt: Number(row.created_at),
    lastHandshakeAt: Number(row.last_handshake_at),
    endpoint: row.endpoint as string | null,
    rxBytes: Number(row.rx_bytes),
    txBytes: Number(row.tx_bytes),
  }));
}
