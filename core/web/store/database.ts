/**
 * The interface of the store to an SQL database. Statements have `?` for values.
 *
 * @module
 */

/**
 * A value in a row. Times are milliseconds since 1970. An integer that a number cannot represent is a text; the store has
 * none, unless somebody has changed its database.
 */
export type Value = string | number | null;

/** A row by the names of its columns. */
export type Row = Record<string, Value>;

/** Statements in one consistent state of the database. */
export interface Queries {
  /** Returns all rows of the result. */
  all(sql: string, ...values: Value[]): Promise<Row[]>;
  /** Returns the first row of the result. */
  get(sql: string, ...values: Value[]): Promise<Row | undefined>;
  /** Changes rows. @returns The number of changed rows. */
  run(sql: string, ...values: Value[]): Promise<number>;
  /** The same for many rows of values. */
  runMany(sql: string, rows: readonly (readonly Value[])[]): Promise<void>;
  /**
   * Does all of the work or nothing. Others see none of it before its end. Transactions are serialized, also those of
   * other processes: what a transaction has read stays true until it ends.
   *
   * Inside a transaction, this begins a part that can fail separately: then its changes are undone, and the others
   * stay. Two such parts must not run at once.
   *
   * @param work Must use only the queries that it receives.
   */
  transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T>;
}

/** The SQL dialect of a database. Statements of the store use only what all dialects have in common. */
export type Dialect = "sqlite" | "postgres";

/** An SQL database. */
export interface Database extends Queries, AsyncDisposable {
  readonly dialect: Dialect;
  /** Whether a change has failed because of the database. Whoever makes a change to see whether it works again resets it. */
  changesFail: boolean;
  /**
   * Writes a copy of the whole database to a new file, while the database is in use. The file is opened before this
   * returns.
   */
  copyTo(path: string): Promise<void>;
}
