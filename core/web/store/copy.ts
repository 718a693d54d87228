/**
 * Copies all rows of a store from one database to another.
 *
 * @module
 */

import type { Queries, Row, Value } from "./database.ts";

/** The number of rows that are read and written at a time. */
const BATCH = 1_000;

/** A table. */
export interface Table {
  readonly name: string;
  readonly columns: readonly string[];
}

/** Reads the rows of a table, some at a time. */
export type ReadRows = (table: Table, size: number) => AsyncIterable<readonly Row[]>;

/** The tables of an SQLite database, in the order in which they were made: each refers to earlier ones. */
export async function tablesOf(sqlite: Queries): Promise<Table[]> {
  const rows = await sqlite.all(
    `SELECT t.name AS "table", c.name AS "column" FROM sqlite_schema t, pragma_table_info(t.name) c
      WHERE t.type = 'table' AND t.name <> 'schema_version' ORDER BY t.rowid, c.cid`,
  );
  return [...Map.groupBy(rows, (row) => String(row.table))].map(([name, columns]) => ({
    name,
    columns: columns.map(({ column }) => String(column)),
  }));
}

/**
 * Copies all rows into a database with the same, empty tables.
 *
 * @param read Reads a consistent state of the database.
 */
export async function copyRows(tables: readonly Table[], read: ReadRows, to: Queries): Promise<void> {
  for (const table of tables) {
    const { name, columns } = table;
    const insert = `INSERT INTO ${name} (${columns.join(", ")}) VALUES (${
      columns.map(() => "?").join(", ")
    })`;
    for await (const rows of read(table, BATCH)) {
      await to.runMany(insert, rows.map((row) => columns.map((column): Value => row[column]!)));
    }
  }
}

/** Reads the rows of an SQLite database that is not changed meanwhile. */
export function rowsOf(sqlite: Queries): ReadRows {
  return async function* ({ name, columns }, size) {
    const text = (where: string) =>
      `SELECT rowid AS place, ${columns.join(", ")} FROM ${name} ${where} ORDER BY rowid LIMIT ${size}`;
    // The number of an entry of the audit log is its rowid. If somebody has inserted entries, it may be any integer.
    for (let rows = await sqlite.all(text("")); rows.length > 0;) {
      yield rows;
      rows = await sqlite.all(text("WHERE rowid > ?"), rows.at(-1)!.place!);
    }
  };
}
