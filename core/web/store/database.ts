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
}

/** An SQL database. */
export interface Database extends Queries, AsyncDisposable {
  /**
   * Does all of it or nothing. Others see nothing of it before its end.
   *
   * @param work Uses the queries it is given, and no others.
   */
  transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T>;
  /** Writes a copy of the whole database to a file that is not there yet, while it is in use. */
  copyTo(path: string): Promise<void>;
}
