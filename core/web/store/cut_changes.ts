/**
 * Finds the devices that must be cut off, and those that may connect again.
 *
 * @module
 */

import type { Queries } from "./database.ts";
import { givesAccess } from "./groups.ts";
import { inList, type Part, slices } from "./in_list.ts";
import type { Cut } from "./records.ts";

/** A device whose peer must be added or removed. */
export interface CutChange {
  readonly id: string;
  readonly interface: string;
  readonly publicKey: string;
  /** Null if it may connect from now on. */
  readonly cut: Cut | null;
}

/** What may have changed. Other devices are not compared. */
export interface Changed {
  readonly devices?: readonly string[];
  /** The devices of these users. */
  readonly users?: readonly string[];
  /** Also compares what has expired after this time. */
  readonly since?: number;
}

/** Devices, each with its network, and its owner if it has one. */
export const TABLES =
  "devices d JOIN networks n ON n.id = d.network_id LEFT JOIN users u ON u.id = d.user_id";

/**
 * The reason why a device must be cut off at a time; null if there is none. It has two places with `?` for the time.
 */
const WANTED_CUT = `CASE WHEN d.disabled_at IS NOT NULL THEN 'disabled' WHEN d.expires_at <= ? THEN 'expired'
  WHEN u.disabled_at IS NOT NULL THEN 'user-disabled' WHEN u.expires_at <= ? THEN 'user-expired'
  WHEN d.user_id IS NOT NULL AND NOT ${givesAccess("d.network_id", "d.user_id")} THEN 'no-access' END`;

/** Number of devices that are compared at once. Other requests are answered between two slices. */
const SLICE = 1_000;

/** Finds the devices whose peers must be added or removed by now, and stores their new state. */
export async function takeCutChanges(
  queries: Queries,
  now: number,
  changed: Changed | "anything",
): Promise<CutChange[]> {
  const changes: CutChange[] = [];
  const parts = changed === "anything" ? allParts(queries) : partsOf(changed, now);
  for await (const part of parts) changes.push(...await takeOf(queries, now, part));
  return changes;
}

/** All devices, in slices. */
async function* allParts(queries: Queries): AsyncGenerator<Part> {
  for (let first = "";;) {
    const row = await queries.get(
      `SELECT max(id) AS last FROM (SELECT id FROM devices WHERE id > ? ORDER BY id LIMIT ${SLICE}) AS part`,
      first,
    );
    if (row!.last === null) return;
    yield { sql: "d.id > ? AND d.id <= ?", values: [first, row!.last!] };
    await new Promise((resolve) => setTimeout(resolve));
    first = String(row!.last);
  }
}

function partsOf({ devices = [], users = [], since }: Changed, now: number): Part[] {
  const of = (column: string) => (ids: string[]): Part => {
    const list = inList(ids);
    return { sql: `${column} IN ${list.sql}`, values: list.values };
  };
  return [
    ...slices(devices).map(of("d.id")),
    ...slices(users).map(of("d.user_id")),
    ...(since === undefined ? [] : [{
      sql: `d.id IN (SELECT e.id FROM devices e WHERE e.expires_at > ? AND e.expires_at <= ?
        UNION ALL SELECT e.id FROM users o JOIN devices e ON e.user_id = o.id
          WHERE o.expires_at > ? AND o.expires_at <= ?)`,
      values: [since, now, since, now],
    }]),
  ];
}

async function takeOf(queries: Queries, now: number, { sql, values }: Part): Promise<CutChange[]> {
  // Most changes do not affect any peer. Then no transaction is needed.
  const found = await queries.all(
    `SELECT d.id FROM ${TABLES} WHERE ${sql} AND d.cut IS DISTINCT FROM ${WANTED_CUT}`,
    ...values,
    now,
    now,
  );
  const changes: CutChange[] = [];
  for (const part of slices(found)) {
    const list = inList(part.map(({ id }) => id!));
    changes.push(...await queries.transaction((queries) => note(queries, now, list)));
  }
  return changes;
}

/** A device, as the keeper knows it. */
export type CutDevice = Pick<CutChange, "interface" | "publicKey">;

/** Finds the devices that must be cut off by now, also those that are, in slices. It only reads. */
export async function* findCut(
  queries: Queries,
  now: number,
  changed: Changed | "anything",
): AsyncGenerator<CutDevice[]> {
  const parts = changed === "anything" ? allParts(queries) : partsOf(changed, now);
  for await (const { sql, values } of parts) {
    const rows = await queries.all(
      `SELECT d.public_key, n.interface FROM ${TABLES} WHERE ${sql} AND ${WANTED_CUT} IS NOT NULL`,
      ...values,
      now,
      now,
    );
    yield rows.map((row) => ({ interface: String(row.interface), publicKey: String(row.public_key) }));
  }
}

async function note(queries: Queries, now: number, ids: Part): Promise<CutChange[]> {
  const rows = await queries.all(
    `SELECT d.id, d.public_key, n.interface, ${WANTED_CUT} AS wanted FROM ${TABLES}
      WHERE d.id IN ${ids.sql} AND d.cut IS DISTINCT FROM ${WANTED_CUT}`,
    now,
    now,
    ...ids.values,
    now,
    now,
  );
  await queries.runMany("UPDATE devices SET cut = ? WHERE id = ?", rows.map((row) => [row.wanted!, row.id!]));
  return rows.map((row) => ({
    id: String(row.id),
    interface: String(row.interface),
    publicKey: String(row.public_key),
    cut: row.wanted as Cut | null,
  }));
}

/** The next expiry of a device or user; undefined if there is none. */
export async function nextExpiry(queries: Queries, now: number): Promise<number | undefined> {
  const row = await queries.get(
    `SELECT min(at) AS at FROM (SELECT min(expires_at) AS at FROM devices WHERE expires_at > ?
      UNION ALL SELECT min(expires_at) AS at FROM users WHERE expires_at > ?) AS both_kinds`,
    now,
    now,
  );
  return row?.at === null || row?.at === undefined ? undefined : Number(row.at);
}
