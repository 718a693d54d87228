/**
 * What the store needs of an SQL database. Statements have `?` for values.
 *
 * @module
 */

/** A value in a row. Times are milliseconds since 1970. */
export type Value = string | number | null;

/** A row, by the names of its columns. */
export type Row = Record<string, Value>;

/** Statements that see one state of the database. */
export interface Queries {
  /** All rows of the answer. */
  all(sql: string, ...values: Value[]): Promise<Row[]>;
  /** The first row of the answer. */
  get(sql: string, ...values: Value[]): Promise<Row | undefined>;
  /** Changes rows. @returns How many. */
  run(sql: string, ...values: Value[]): Promise<number>;
  /** Does the same for many rows of values. */
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

/** Whose SQL a database speaks. Statements of the store are in what all of them have in common. */
export type Dialect = "sqlite" | "postgres";

/** An SQL database. */
export interface Database extends Queries, AsyncDisposable {
  readonly dialect: Dialect;
  /**
   * Writes a copy of the whole database to a file that is not there yet, while it is in use. What opens the file is done
   * before this returns.
   */
  copyTo(path: string): Promise<void>;
}
