/**
 * Reads the audit log on the command line, also if somebody has changed it in the database.
 *
 * @module
 */

import type { Row } from "./store/database.ts";
import type { Store } from "./store/store.ts";

/** A line of the audit log, as it is in the database. */
export interface LoggedLine {
  readonly number: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly actor: string;
  readonly action: string;
  readonly target: string | null;
  readonly address: string | null;
  /** JSON, unless somebody has changed it. */
  readonly detail: string;
  readonly previousHash: string;
  readonly hash: string;
}

/** Lines that are read at once. */
const AT_ONCE = 1_000;

/** All lines, oldest first. */
export async function* readLog({ database }: Store): AsyncGenerator<LoggedLine> {
  let last = Number.MIN_SAFE_INTEGER;
  for (;;) {
    const rows = await database.all(
      `SELECT * FROM events WHERE number > ? ORDER BY number LIMIT ${AT_ONCE}`,
      last,
    );
    if (rows.length === 0) return;
    yield* rows.map(lineOf);
    last = Number(rows.at(-1)!.number);
  }
}

/** Finds the first line that was changed, or before which a line was removed. @returns Its number; undefined if there is none. */
export async function firstBroken(store: Store): Promise<number | undefined> {
  // The first line has the number 1. The check begins there.
  const before = await store.database.get(
    "SELECT number FROM events WHERE number < 1 ORDER BY number LIMIT 1",
  );
  if (before) return Number(before.number);
  try {
    return await store.events.findBreak();
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // It ends at a line whose details are not JSON, so all lines before that one are correct.
    for await (const { number, detail } of readLog(store)) if (!isJson(detail)) return number;
    throw error;
  }
}

function lineOf(row: Row): LoggedLine {
  return {
    number: Number(row.number),
    time: Number(row.time),
    actor: String(row.actor),
    action: String(row.action),
    target: row.target as string | null,
    address: row.address as string | null,
    detail: String(row.detail),
    previousHash: String(row.previous_hash),
    hash: String(row.hash),
  };
}

/** Whether a text is JSON. */
export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
