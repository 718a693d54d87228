/**
 * All rows of a store, from one database to another.
 *
 * @module
 */

import type { Queries, Row, Value } from "./database.ts";

/** Rows that are read, and then written, at once. */
const BATCH = 1_000;

/** Reads the rows of an answer, some at a time. */
export type ReadRows = (sql: string, size: number) => AsyncIterable<readonly Row[]>;

/**
 * Copies all tables into an SQLite database that has them already, empty and of the same step.
 *
 * @param read Sees one state of the database.
 */
export async function copyRows(read: ReadRows, to: Queries): Promise<void> {
  // In the order in which they were made, so that each finds what its rows refer to.
  const tables = await to.all(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'schema_version' ORDER BY rowid",
  );
  for (const { name } of tables) {
    const columns = (await to.all("SELECT name FROM pragma_table_info(?)", name!)).map((row) =>
      `${row.name}`
    );
    const names = columns.join(", ");
    const insert = `INSERT INTO ${name} (${names}) VALUES (${columns.map(() => "?").join(", ")})`;
    for await (const rows of read(`SELECT ${names} FROM ${name}`, BATCH)) {
      await to.runMany(insert, rows.map((row) => columns.map((column): Value => row[column]!)));
    }
  }
}
