/**
 * The interface of the store to an SQL database. Statements have `?` for values.
 *
 * @module
 */

/** A value in a row. Times are milliseconds since 1970. */
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
   * Does all of it or nothing. Others see nothing of it before its end. Transactions come one after the other, also those
   * of other processes: what one has read stays true until it ends.
   *
   * Inside a transaction this is a part of it that fails by itself: its changes are undone, the others stay. Two such parts
   * must not run at once.
   *
   * @param work Uses the queries it is given, and no others.
   */
  transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T>;
}

/** The SQL dialect of a database. Statements of the store use only what all dialects have in common. */
export type Dialect = "sqlite" | "postgres";

/** An SQL database. */
export interface Database extends Queries, AsyncDisposable {
  readonly dialect: Dialect;
  /**
   * Writes a copy of the whole database to a new file, while the database is in use. The file is opened before this
   * returns.
   */
  copyTo(path: string): Promise<void>;
}
