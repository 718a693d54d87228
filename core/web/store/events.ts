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
      const last = await queries.get("SELECT number, hash FROM events ORDER BY number DESC LIMIT 1");
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
    const before = cursor !== undefined && /^\d{1,15}$/.test(cursor)
      ? Number(cursor)
      : Number.MAX_SAFE_INTEGER;
    const rows = await this.#queries.all(
      `SELECT * FROM events WHERE number < ? ORDER BY number DESC LIMIT ${limit + 1}`,
      before,
    );
    const total = await this.#queries.get("SELECT count(*) AS n FROM events");
    const last = rows.length > limit ? rows[limit - 1] : undefined;
    return {
      items: rows.slice(0, limit).map(event),
      next: last ? String(last.number) : null,
      total: Number(total!.n),
    };
  }

  /** @returns The number of the first line whose hash is wrong; undefined if all hashes are correct. */
  async findBreak(): Promise<number | undefined> {
    let previousHash = BEGINNING;
    let number = 0;
    for (;;) {
      const rows = await this.#queries.all(
        "SELECT * FROM events WHERE number > ? ORDER BY number LIMIT 1000",
        number,
      );
      if (rows.length === 0) return undefined;
      for (const row of rows) {
        number++;
        const line = { ...event(row), detail: String(row.detail), previousHash };
        const isNext = row.number === number && row.previous_hash === previousHash;
        if (!isNext || row.hash !== hashLine(line)) return number;
        previousHash = String(row.hash);
      }
    }
  }
}

function hashLine(line: Omit<AuditEvent, "hash" | "detail"> & { detail: string }): string {
  const { number, time, actor, action, target, address, detail, previousHash } = line;
  const text = JSON.stringify([previousHash, number, time, actor, action, target, address, detail]);
  return createHash("sha256").update(text).digest("base64url");
}

function event(row: Row): AuditEvent {
  return {
    number: Number(row.number),
    time: Number(row.time),
    actor: String(row.actor),
    action: String(row.action),
    target: row.target as string | null,
    address: row.address as string | null,
    detail: JSON.parse(String(row.detail)),
    previousHash: String(row.previous_hash),
    hash: String(row.hash),
  };
}
