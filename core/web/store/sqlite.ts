/**
 * The store's database in an SQLite file.
 *
 * @module
 */

import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Database, Queries, Row, Value } from "./database.ts";
import { DatabaseError } from "./errors.ts";
import { noteFailure } from "./failed_change.ts";
import { holdFolder } from "./hold.ts";

/** Milliseconds to wait for another process, such as `wgd web token add`. */
const BUSY_TIMEOUT = 30_000;
/** Milliseconds between two attempts to begin a transaction. */
const BUSY_PAUSE = 5;
/** Milliseconds that SQLite itself may wait when a file is opened. This blocks the process. */
const OPEN_TIMEOUT = 5_000;

/** The error while another process writes (SQLITE_BUSY). */
const BUSY = 5;

/**
 * Opens a file, or creates it. No other file is opened later. Until it is closed, no backup can replace it.
 *
 * @throws {Error} If it is not a database or cannot be used.
 */
export function openSqlite(path: string): Database {
  const held = holdFolder(path);
  try {
    return openUnheld(path, held);
  } catch (error) {
    held[Symbol.dispose]();
    throw error;
  }
}

/**
 * Opens a file that no other process uses.
 *
 * @param held Disposed of when the database is closed.
 */
export function openUnheld(path: string, held?: Disposable): Database {
  makeFile(path);
  return new Sqlite(path, held);
}

/** SQLite would let everybody read a new file. Its other files get the mode of this file. */
function makeFile(path: string, options: Deno.OpenOptions = { create: true, append: true }): void {
  Deno.openSync(path, { ...options, mode: 0o600 }).close();
}

type RawRow = Record<string, Value | bigint>;

/**
 * Reads rows. An integer that a number cannot represent is an error in Deno, and is read as a text instead. Statements
 * that read may be repeated.
 */
function read(statement: StatementSync, work: (statement: StatementSync) => RawRow[]): Row[] {
  try {
    return work(statement) as Row[];
  } catch (error) {
    if ((error as { code?: string }).code !== "ERR_OUT_OF_RANGE") throw error;
  }
  statement.setReadBigInts(true);
  try {
    return work(statement).map((row) =>
      Object.fromEntries(Object.entries(row).map(([name, value]) => [name, asValue(value)]))
    );
  } finally {
    statement.setReadBigInts(false);
  }
}

function asValue(value: Value | bigint): Value {
  if (typeof value !== "bigint") return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
}

/** One connection and its prepared statements. */
class Connection implements Queries {
  readonly database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(path: string) {
    this.database = new DatabaseSync(path, { timeout: OPEN_TIMEOUT });
    this.database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;");
    // The first read opens the files beside it.
    this.database.exec("SELECT count(*) FROM sqlite_schema");
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) this.#statements.set(sql, statement = this.database.prepare(sql));
    return statement;
  }

  all(sql: string, ...values: Value[]): Promise<Row[]> {
    return Promise.try(() => read(this.#prepare(sql), (statement) => statement.all(...values) as RawRow[]));
  }

  get(sql: string, ...values: Value[]): Promise<Row | undefined> {
    return Promise.try(() => {
      const all = read(this.#prepare(sql), (statement) => {
        const row = statement.get(...values) as RawRow | undefined;
        return row ? [row] : [];
      });
      return all[0];
    });
  }

  run(sql: string, ...values: Value[]): Promise<number> {
    return Promise.try(() => Number(this.#prepare(sql).run(...values).changes));
  }

  runMany(sql: string, rows: readonly (readonly Value[])[]): Promise<void> {
    return Promise.try(() => {
      const statement = this.#prepare(sql);
      for (const row of rows) statement.run(...row);
    });
  }

  /**
   * Begins as a writer, because a transaction that begins as a reader may fail when it writes. Other work of this
   * process continues meanwhile.
   */
  async #begin(): Promise<void> {
    for (const end = performance.now() + BUSY_TIMEOUT;;) {
      try {
        // Deno does not report the code of errors of `exec`.
        return void this.#prepare("BEGIN IMMEDIATE").run();
      } catch (error) {
        if ((error as { errcode?: number }).errcode !== BUSY) throw error;
        if (performance.now() > end) {
          throw new DatabaseError("another process has locked the database", undefined, {
            cause: error,
          });
        }
        await new Promise((resolve) => setTimeout(resolve, BUSY_PAUSE));
      }
    }
  }

  async transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    const { database } = this;
    const isOuter = !database.isTransaction;
    if (isOuter) await this.#begin();
    else database.exec("SAVEPOINT part");
    try {
      const result = await work(this);
      database.exec(isOuter ? "COMMIT" : "RELEASE part");
      return result;
    } catch (error) {
      // Some errors, such as a full disk, have already ended it.
      if (database.isTransaction) database.exec(isOuter ? "ROLLBACK" : "ROLLBACK TO part; RELEASE part");
      throw error;
    }
  }
}

/**
 * Errors of the disk (SQLite, "Result and Error Codes"), by their text because Deno does not report the code of errors of
 * `exec`.
 */
const DISK_ERRORS: readonly (readonly [text: string, hint: string])[] = [
  ["database or disk is full", "free some space there"],
  ["disk I/O error", "see the system's log: dmesg"],
  ["attempt to write a readonly database", "its file system or its file cannot be written"],
];

/** @throws {DatabaseError} In place of an error of the disk. */
async function withDiskErrors<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { message } = error as Error;
    const [text, hint] = DISK_ERRORS.find(([text]) => message === text) ?? [];
    if (text === undefined) throw error;
    throw new DatabaseError(`"${path}" cannot be written: ${text}`, hint, { cause: error });
  }
}

/**
 * Two connections, so that reads do not wait for a transaction and do not see its changes (WAL). Writes are made one
 * after the other. `all` and `get` only read, except in a transaction.
 */
class Sqlite implements Database {
  readonly dialect = "sqlite";
  changesFail = false;
  readonly #reader: Connection;
  readonly #writer: Connection;
  readonly #held: Disposable | undefined;
  readonly #path: string;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(path: string, held: Disposable | undefined) {
    this.#held = held;
    this.#path = path;
    this.#writer = new Connection(path);
    this.#writer.database.exec("PRAGMA busy_timeout = 0");
    this.#reader = new Connection(path);
  }

  all(sql: string, ...values: Value[]): Promise<Row[]> {
    return this.#reader.all(sql, ...values);
  }

  get(sql: string, ...values: Value[]): Promise<Row | undefined> {
    return this.#reader.get(sql, ...values);
  }

  run(sql: string, ...values: Value[]): Promise<number> {
    return this.transaction((queries) => queries.run(sql, ...values));
  }

  runMany(sql: string, rows: readonly (readonly Value[])[]): Promise<void> {
    return this.transaction((queries) => queries.runMany(sql, rows));
  }

  transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    const result = this.#turn.then(() =>
      noteFailure(this, () => withDiskErrors(this.#path, () => this.#writer.transaction(work)))
    );
    this.#turn = result.catch(() => {});
    return result;
  }

  // VACUUM INTO copies one state of the database even if others write meanwhile. SQLite's backup interface would start
  // again. The copy also contains no deleted data.
  copyTo(path: string): Promise<void> {
    return withDiskErrors(path, () =>
      Promise.try(() => {
        makeFile(path, { createNew: true, write: true });
        this.#reader.database.prepare("VACUUM INTO ?").run(path);
      }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turn;
    this.#reader.database.close();
    this.#writer.database.close();
    this.#held?.[Symbol.dispose]();
  }
}
