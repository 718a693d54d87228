/**
 * Where a backup is put: in the place of a database's file, or of the rows of one on a PostgreSQL server.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { isThere } from "./backup.ts";
import { databaseOpener, type DatabasePlace, rememberPlace } from "./database.ts";
import { databaseFile } from "./folders.ts";
import { asOwner } from "./owner.ts";
import { copyRows, rowsOf, tablesOf } from "./store/copy.ts";
import type { Database, Queries } from "./store/database.ts";
import { openUnheld } from "./store/sqlite.ts";
import { Store } from "./store/store.ts";

/** Where a backup is put. Nobody else uses it. */
export interface RestorePlace extends AsyncDisposable {
  /** That something is there already, as errors say it; undefined if nothing is. */
  readonly occupied: string | undefined;
  /**
   * Puts the backup there, all or nothing. What is there is kept in a file beside it.
   *
   * @param aside A whole database of this wgd's tables, in the server's folder; it may be gone then.
   */
  put(aside: string): Promise<void>;
}

/** The file in which a database is kept whose place a backup takes. */
export function keptFile(data: string): string {
  return `${databaseFile(data)}.old`;
}

/**
 * Finds out what is where a backup is to be put.
 *
 * @param hold Holds the folder alone.
 */
export async function restorePlace(
  data: string,
  place: DatabasePlace,
  hold: Disposable,
): Promise<RestorePlace> {
  if (place.kind === "sqlite") return await filePlace(data, place.file);
  const store = await Store.open(await (await databaseOpener(data, place, hold))());
  const { database } = store;
  const isEmpty = (await store.networks.list()).length + (await store.users.list()).length === 0;
  return {
    occupied: isEmpty ? undefined : "the database has the data of a server",
    async put(aside) {
      if (!isEmpty) await keepRows(data, database);
      await using copy = asOwner(data, () => openUnheld(aside));
      await database.transaction((queries) => replaceRows(copy, queries));
      await rememberPlace(data, place);
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

async function keepRows(data: string, database: Database): Promise<void> {
  asOwner(data, () => attempt(() => Deno.removeSync(keptFile(data))));
  await asOwner(data, () => database.copyTo(keptFile(data)));
}

async function replaceRows(from: Queries, to: Queries): Promise<void> {
  const tables = await tablesOf(from);
  for (const { name } of tables.toReversed()) await to.run(`DELETE FROM ${name}`);
  await copyRows(tables, rowsOf(from), to);
}

async function filePlace(data: string, file: string): Promise<RestorePlace> {
  const isReplaced = await isThere(file);
  return {
    occupied: isReplaced ? `${data} has a database` : undefined,
    put: (aside) => Promise.try(() => asOwner(data, () => putInPlace(aside, file, isReplaced))),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** From one moment to the next the database is another; the one that was there is beside it. */
function putInPlace(aside: string, path: string, isReplaced: boolean): void {
  using copy = Deno.openSync(aside);
  copy.syncSync();
  if (isReplaced) keepOld(path);
  Deno.renameSync(aside, path);
  using folder = Deno.openSync(path.slice(0, path.lastIndexOf("/")));
  folder.syncSync();
}

function keepOld(path: string): void {
  for (const suffix of ["", "-wal"]) attempt(() => Deno.removeSync(`${path}.old${suffix}`));
  try {
    // What is in the log beside it goes into the file, and the log goes away: SQLite would take it for the new file's.
    using old = new DatabaseSync(path);
    old.exec("PRAGMA journal_mode = DELETE");
  } catch {
    // It is damaged, which may be why a backup is put in its place.
    attempt(() => Deno.renameSync(`${path}-wal`, `${path}.old-wal`));
  }
  attempt(() => Deno.removeSync(`${path}-shm`));
  Deno.linkSync(path, `${path}.old`);
}

function attempt(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
