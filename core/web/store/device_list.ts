/**
 * Finds the devices of a page of the list, in its order. SQLite blocks the event loop, so a statement must not read all
 * of 100,000 devices if it can use an index.
 *
 * SQLite does not know how many rows match a condition, so the statements choose the index: SQLite does not use a
 * column's indexes for an expression such as `+d.created_at`. PostgreSQL accepts the same expressions.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Queries, Row, Value } from "./database.ts";
import { ONLINE_FOR } from "./device_state.ts";
import { inList, type Part } from "./in_list.ts";
import type { DeviceQuery, DeviceSort } from "./records.ts";

/** If at most this many devices match, they are sorted for each page. */
const FEW = 1_000;

/** A page of the list. */
export interface ListedIds {
  readonly ids: readonly string[];
  /** Where the next page begins; null if there is none. */
  readonly next: string | null;
  /** The number of devices that match, on all pages. */
  readonly total: number;
}

type Column = "user_id" | "network_id" | "cut" | "last_handshake_at" | "name" | "created_at";

const SORT: Readonly<Record<DeviceSort, Column>> = {
  name: "name",
  created: "created_at",
  handshake: "last_handshake_at",
};

/**
 * Finds the devices of a page.
 *
 * If few devices match, they are found by the index of a condition, and sorted. If many match, the list is read in its
 * order until the page is full.
 */
export async function listIds(queries: Queries, query: DeviceQuery, now: number): Promise<ListedIds> {
  const sort = query.sort ?? "name";
  const column = SORT[sort];
  const limit = Math.min(Math.max(query.limit ?? 50, 1), 1000);
  const words = query.search?.toLowerCase().split(/\s+/).filter(Boolean) ?? [];
  const wanted = conditions(query, words, now, findable(query, words));
  const few = wanted.sql === "" ? undefined : await fewOf(queries, wanted);
  const total = few?.length ?? await count(queries, wanted);
  const key = few ? hidden(column) : `d.${column}`;
  const { sql, values } = few ? inIds(few) : conditions(query, words, now, (other) => other === column);
  const after = readCursor(query.cursor, sort);
  const [order, beyond] = query.descending ? ["DESC", "<"] : ["ASC", ">"];
  const rows = total === 0 ? [] : await queries.all(
    `SELECT d.id, d.${column} AS sorted FROM devices d ${
      where(sql, after && `(${key}, d.id) ${beyond} (?, ?)`)
    } ORDER BY ${key} ${order}, d.id ${order} LIMIT ${limit + 1}`,
    ...values,
    ...after ?? [],
  );
  const last = rows.length > limit ? rows[limit - 1]! : undefined;
  return {
    ids: rows.slice(0, limit).map(idOf),
    next: last ? writeCursor(last.sorted!, String(last.id)) : null,
    total,
  };
}

/** All devices that match, in no order. @returns Undefined if there are many. */
async function fewOf(queries: Queries, { sql, values }: Part): Promise<string[] | undefined> {
  const rows = await queries.all(`SELECT d.id FROM devices d ${where(sql)} LIMIT ${FEW + 1}`, ...values);
  return rows.length > FEW ? undefined : rows.map(idOf);
}

async function count(queries: Queries, { sql, values }: Part): Promise<number> {
  return Number((await queries.get(`SELECT count(*) AS n FROM devices d ${where(sql)}`, ...values))!.n);
}

function inIds(ids: readonly string[]): Part {
  const list = inList(ids);
  return { sql: `d.id IN ${list.sql}`, values: list.values };
}

function where(...conditions: (string | undefined)[]): string {
  const all = conditions.filter(Boolean);
  return all.length === 0 ? "" : `WHERE ${all.join(" AND ")}`;
}

/**
 * The columns whose indexes are used to find the devices. The owner's index is the best one, since nobody has many
 * devices. A search reads every row, which is fastest in the order of the file.
 */
function findable({ ownerId }: DeviceQuery, words: readonly string[]): (column: Column) => boolean {
  if (ownerId !== undefined) return (column) => column === "user_id";
  return () => words.length === 0;
}

/** The value of a column, as an expression for which SQLite uses no index. */
function hidden(column: Column): string {
  return column === "last_handshake_at" || column === "created_at" ? `+d.${column}` : `(d.${column} || '')`;
}

/** @param isVisible Whether SQLite may use the indexes of a column. */
function conditions(
  query: DeviceQuery,
  words: readonly string[],
  now: number,
  isVisible: (column: Column) => boolean,
): Part {
  const all: string[] = [];
  const values: Value[] = [];
  const add = (sql: string, ...more: Value[]) => {
    all.push(sql);
    values.push(...more);
  };
  const of = (column: Column) => isVisible(column) ? `d.${column}` : hidden(column);
  const [cut, handshake] = [of("cut"), of("last_handshake_at")];
  if (query.ownerId !== undefined) add(`${of("user_id")} = ?`, query.ownerId);
  if (query.networkId !== undefined) add(`${of("network_id")} = ?`, query.networkId);
  // The network is the first column of the index by state.
  else if (query.state && isVisible("network_id")) add("d.network_id IN (SELECT id FROM networks)");
  for (const word of words) {
    add("d.search LIKE ? ESCAPE '\\'", `%${word.replace(/[\\%_]/g, "\\$&")}%`);
  }
  switch (query.state) {
    case "disabled":
      add(`${cut} IN ('disabled', 'user-disabled', 'no-access')`);
      break;
    case "expired":
      add(`${cut} IN ('expired', 'user-expired')`);
      break;
    case "never":
      add(`${cut} IS NULL AND ${handshake} = 0`);
      break;
    case "online":
      add(`${cut} IS NULL AND ${handshake} > ?`, now - ONLINE_FOR);
      break;
    case "idle":
      add(`${cut} IS NULL AND ${handshake} > 0 AND ${handshake} <= ?`, now - ONLINE_FOR);
  }
  return { sql: all.join(" AND "), values };
}

function writeCursor(value: Value, id: string): string {
  return Buffer.from(JSON.stringify([value, id])).toString("base64url");
}

/** If a cursor cannot be read, or belongs to another order, the list begins at the start. */
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

function idOf(row: Row): string {
  return String(row.id);
}
