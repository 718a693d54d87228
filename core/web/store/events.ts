/**
 * The audit log. Each line has a hash over itself and the hash of the previous line, so changed or removed lines can be
 * detected.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { Queries, Row } from "./database.ts";
import type { AuditEvent, Page } from "./records.ts";

/** What happened. */
export type NewEvent = Pick<AuditEvent, "actor" | "action" | "target" | "address" | "detail">;

/** A line as it is in the database. Its details are JSON, unless somebody has changed them. */
export type StoredLine = Omit<AuditEvent, "detail"> & { readonly detail: string };

/** Lines that are read at once. */
const AT_ONCE = 1_000;

/** wgd writes fewer lines than this, so those with higher numbers are not its own, and none follows them. */
const MOST_LINES = 2 ** 52;

/** The previous hash of the first line. */
const BEGINNING = "";

/** The audit log in the store. */
export class Events {
  readonly #queries: Queries;

  constructor(queries: Queries) {
    this.#queries = queries;
  }

  /** Adds a line. */
  async add(event: NewEvent, now: number): Promise<void> {
    await this.#queries.transaction(async (queries) => {
      const last = await queries.get(
        `SELECT number, hash FROM events WHERE number < ${MOST_LINES} ORDER BY number DESC LIMIT 1`,
      );
      const number = Number(last?.number ?? 0) + 1;
      const previousHash = String(last?.hash ?? BEGINNING);
      const detail = JSON.stringify(event.detail);
      const line = { ...event, detail, number, time: now, previousHash };
      await queries.run(
        `INSERT INTO events (number, time, actor, action, target, address, detail, previous_hash, hash)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
        number,
        now,
        event.actor,
        event.action,
        event.target,
        event.address,
        detail,
        previousHash,
        hashLine(line),
      );
    });
  }

  /** Lines, newest first. */
  async list(cursor: string | undefined, limit = 100): Promise<Page<AuditEvent>> {
    // Somebody may have inserted lines with any number.
    const before = cursor !== undefined && isInt64(cursor) ? cursor : undefined;
    const rows = await this.#queries.all(
      `SELECT * FROM events ${before === undefined ? "" : "WHERE number < ?"} ORDER BY number DESC LIMIT ${
        limit + 1
      }`,
      ...before === undefined ? [] : [before],
    );
    const total = await this.#queries.get("SELECT count(*) AS n FROM events");
    return {
      items: rows.slice(0, limit).map(lineOf).map((line) => ({ ...line, detail: detailOf(line) })),
      next: rows.length > limit ? String(rows[limit - 1]!.number) : null,
      total: Number(total!.n),
    };
  }

  /** All lines, oldest first. */
  async *all(): AsyncGenerator<StoredLine> {
    const text = (where: string) => `SELECT * FROM events ${where} ORDER BY number LIMIT ${AT_ONCE}`;
    for (let rows = await this.#queries.all(text("")); rows.length > 0;) {
      yield* rows.map(lineOf);
      rows = await this.#queries.all(text("WHERE number > ?"), rows.at(-1)!.number!);
    }
  }

  /**
   * @returns The number of the first line that was changed, inserted, or removed before others; undefined if all are as
   * they were written.
   */
  async findBreak(): Promise<number | undefined> {
    let previousHash = BEGINNING;
    let number = 0;
    for await (const line of this.all()) {
      number++;
      const isNext = line.number === number && line.previousHash === previousHash;
      if (!isNext || line.hash !== hashLine(line)) return Math.min(line.number, number);
      previousHash = line.hash;
    }
    return undefined;
  }
}

/** Whether a text is an integer that a database can store. */
function isInt64(text: string): boolean {
  return /^-?\d{1,19}$/.test(text) && BigInt.asIntN(64, BigInt(text)) === BigInt(text);
}

function hashLine(line: Omit<StoredLine, "hash">): string {
  const { number, time, actor, action, target, address, detail, previousHash } = line;
  const text = JSON.stringify([previousHash, number, time, actor, action, target, address, detail]);
  return createHash("sha256").update(text).digest("base64url");
}

function lineOf(row: Row): StoredLine {
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

/** The details of a line. If somebody has changed them to something else than an object, that is shown as it is. */
export function detailOf({ detail }: Pick<StoredLine, "detail">): Record<string, unknown> {
  try {
    const value = JSON.parse(detail);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch {
    // It is no JSON.
  }
  return { detail };
}
