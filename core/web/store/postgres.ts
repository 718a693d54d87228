/**
 * The store's database on a PostgreSQL server.
 *
 * @module
 */

import postgres, { type Sql, type TransactionSql } from "postgres";
import { copyRows, type Table, tablesOf } from "./copy.ts";
import type { Database, Queries, Row, Value } from "./database.ts";
import { DatabaseError } from "./errors.ts";
import { noteFailure } from "./failed_change.ts";
import { formatPostgresAddress, type PostgresAddress, type PostgresTls } from "./postgres_address.ts";
import { migrate, STEPS, versionOf } from "./schema.ts";
import { openUnheld } from "./sqlite.ts";

/** The maximum number of connections. A transaction has its own connection, and others read meanwhile. */
const CONNECTIONS = 4;
/** Timeout in seconds for a server that does not answer. */
const CONNECT_TIMEOUT = 10;
/** Milliseconds after which the server ends a transaction whose process is stopped, because others wait for it. */
const LONGEST_PAUSE = 30_000;
/** The advisory lock of transactions ("wgd" and the number of this lock). Each database has its own. */
const LOCK = 0x776764_01;

/**
 * Error codes of a server that stops, starts or has too many connections (PostgreSQL, appendix A), and of the driver
 * for a lost connection.
 */
const UNAVAILABLE =
  /^(08...|53300|57P0[1-4]|CONNECT_TIMEOUT|CONNECTION_\w+|ECONN\w+|ENOENT|EPIPE|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|ETIMEDOUT)$/;

/** Error codes of a full disk, an error of the disk, and a server that only reads, such as a standby. */
const UNWRITABLE = /^(25006|53100|58030)$/;

/** BIGINT, and NUMERIC, the type of its sums. */
const NUMBERS = { to: 20, from: [20, 1700], parse: parseNumber, serialize: String };

/** The types that the driver accepts, including the numbers of this store. */
type Driver = Sql<{ number: number }>;

/**
 * Opens a database.
 *
 * @param options The most connections at once, and what to dispose of when the database is closed.
 * @throws {DatabaseError} If the database does not exist, or cannot be used.
 */
export async function openPostgres(
  address: PostgresAddress,
  { connections = CONNECTIONS, held }: {
    readonly connections?: number;
    readonly held?: Disposable | undefined;
  } = {},
): Promise<Database> {
  const { host, port, database, user, password, tls } = address;
  const sql: Driver = postgres({
    ...(host.startsWith("/") ? { path: `${host}/.s.PGSQL.${port}` } : {}),
    host,
    port,
    database,
    user,
    password: password ?? "",
    ssl: tls === undefined ? false : await tlsOptions(host, tls),
    max: connections,
    connect_timeout: CONNECT_TIMEOUT,
    fetch_types: false,
    onnotice: () => {},
    types: { number: NUMBERS },
    connection: {
      application_name: "wgd",
      idle_in_transaction_session_timeout: LONGEST_PAUSE,
    },
  });
  const opened = new Postgres(sql, formatPostgresAddress(address), held);
  try {
    await opened.get("SELECT 1 AS answers");
    return opened;
  } catch (error) {
    await opened[Symbol.asyncDispose]();
    throw error;
  }
}

/** An integer that a number cannot represent stays a text. */
function parseNumber(text: string): number {
  const value = Number(text);
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? text as never : value;
}

/** The options of `tls.connect`. It checks the name even if the driver sends no SNI, for an address. */
async function tlsOptions(host: string, { rejectUnauthorized, caFile }: PostgresTls) {
  return {
    host,
    rejectUnauthorized,
    ...(caFile !== undefined && { ca: await Deno.readTextFile(caFile) }),
  };
}

/** Runs statements on one connection, or on any free one. */
class Statements {
  constructor(readonly sql: Driver | TransactionSql<{ number: number }>) {}

  async all(text: string, ...values: Value[]): Promise<Row[]> {
    return await this.#send(text, values);
  }

  async get(text: string, ...values: Value[]): Promise<Row | undefined> {
    return (await this.#send(text, values))[0];
  }

  async run(text: string, ...values: Value[]): Promise<number> {
    return (await this.#send(text, values)).count;
  }

  /**
   * The first statement determines the types of the values. The driver sends the others without waiting for answers.
   */
  async runMany(text: string, [first, ...others]: readonly (readonly Value[])[]): Promise<void> {
    if (first) await this.#send(text, first);
    await Promise.all(others.map((values) => this.#send(text, values)));
  }

  #send(text: string, values: readonly Value[]) {
    return this.sql.unsafe<Row[]>(numbered(text), values.map(storable), { prepare: true });
  }
}

/** Runs the statements of one transaction. */
class Transaction extends Statements implements Queries {
  constructor(override readonly sql: TransactionSql<{ number: number }>) {
    super(sql);
  }

  async transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    return await this.sql.savepoint((sql) => work(new Transaction(sql))) as T;
  }
}

/**
 * Runs a transaction. If its connection is lost, `begin` fails at once, but the work continues. The driver (3.4.9) then
 * sends further statements, at least a ROLLBACK, to a closed socket, which throws an error that cannot be caught. So no
 * statement may follow.
 */
async function begin<T>(
  sql: Driver,
  options: string,
  work: (sql: TransactionSql<{ number: number }>) => Promise<T>,
): Promise<T> {
  let ended = false;
  const unlessEnded = async (error: unknown): Promise<never> => {
    // A lost connection rejects a pending statement a moment before it rejects `begin`.
    await new Promise((resolve) => setTimeout(resolve));
    if (ended) await new Promise(() => {});
    throw error;
  };
  const guarded = (sql: TransactionSql<{ number: number }>): TransactionSql<{ number: number }> =>
    new Proxy(sql, {
      get(target, name) {
        if (ended) throw new DatabaseError("the connection to the database was lost");
        if (name !== "savepoint") return Reflect.get(target, name);
        return (work: (sql: TransactionSql<{ number: number }>) => Promise<unknown>) =>
          target.savepoint((sql) => work(guarded(sql)).catch(unlessEnded));
      },
    });
  try {
    return await sql.begin(options, (sql) => work(guarded(sql)).catch(unlessEnded)) as T;
  } finally {
    ended = true;
  }
}

/**
 * A pool of connections. Transactions take a lock, so that they are serialized as in SQLite: what a transaction has
 * read (a free address, the last administrator) stays true until it writes. After taking the lock it sees all earlier
 * writes, because each statement reads the current state (READ COMMITTED).
 */
class Postgres implements Database {
  readonly dialect = "postgres";
  changesFail = false;
  readonly #sql: Driver;
  readonly #pool: Statements;
  readonly #name: string;
  readonly #held: Disposable | undefined;

  constructor(sql: Driver, name: string, held: Disposable | undefined) {
    this.#held = held;
    this.#sql = sql;
    this.#pool = new Statements(sql);
    this.#name = name;
  }

  all(sql: string, ...values: Value[]): Promise<Row[]> {
    return this.#told(() => this.#pool.all(sql, ...values));
  }

  get(sql: string, ...values: Value[]): Promise<Row | undefined> {
    return this.#told(() => this.#pool.get(sql, ...values));
  }

  run(sql: string, ...values: Value[]): Promise<number> {
    return this.transaction((queries) => queries.run(sql, ...values));
  }

  runMany(sql: string, rows: readonly (readonly Value[])[]): Promise<void> {
    return this.transaction((queries) => queries.runMany(sql, rows));
  }

  transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    const changed = () =>
      begin(this.#sql, "isolation level read committed read write", async (sql) => {
        const transaction = new Transaction(sql);
        await transaction.all("SELECT pg_advisory_xact_lock(?)", LOCK);
        return await work(transaction);
      });
    return noteFailure(this, () => this.#told(changed));
  }

  /** The copy is an SQLite database, so that there is only one kind of backup. */
  async copyTo(path: string): Promise<void> {
    await using copy = openUnheld(path);
    await this.#told(() =>
      begin(this.#sql, "isolation level repeatable read read only", async (sql) => {
        await migrate(copy, STEPS.slice(0, await versionOf(new Transaction(sql))));
        const tables = await tablesOf(copy);
        const read = ({ name, columns }: Table, size: number) =>
          sql.unsafe<Row[]>(`SELECT ${columns.join(", ")} FROM ${name}`).cursor(size);
        await copy.transaction((queries) => copyRows(tables, read, queries));
      })
    );
  }

  /** Adds the database to an error that does not name it. */
  async #told<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const code = String((error as { code?: unknown }).code ?? "");
      if (UNAVAILABLE.test(code)) {
        throw new DatabaseError(`${this.#name} does not answer: ${error.message || code}`, undefined, {
          cause: error,
        });
      }
      if (UNWRITABLE.test(code)) {
        throw new DatabaseError(`${this.#name} cannot be written: ${error.message}`, undefined, {
          cause: error,
        });
      }
      // The database does not exist, or denies access.
      if (/^(28...|3D000|42501)$/.test(code)) {
        throw new DatabaseError(`${this.#name}: ${error.message}`, hintFor(code), { cause: error });
      }
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sql.end({ timeout: 5 });
    this.#held?.[Symbol.dispose]();
  }
}

function hintFor(code: string): string | undefined {
  switch (code) {
    case "28P01":
      return "its password is read from PGPASSFILE, or from web/pgpass in the server's folder";
    case "3D000":
      return "make it: createdb --owner USER DATABASE";
    default:
      return undefined;
  }
}

const texts = new Map<string, string>();

/**
 * A statement with `$1`, `$2`, … in place of each `?`. No statement of the store contains a question mark otherwise.
 */
function numbered(text: string): string {
  let known = texts.get(text);
  if (known === undefined) {
    let number = 0;
    texts.set(text, known = text.replaceAll("?", () => `$${++number}`));
  }
  return known;
}

/**
 * PostgreSQL does not support texts with NUL. They are not needed, so NUL is replaced by the character for unknown
 * characters.
 */
function storable(value: Value): Value {
  return typeof value === "string" ? value.replaceAll("\0", "\uFFFD") : value;
}
