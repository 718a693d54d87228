/**
 * The target of a restored backup: the file of a database, or the rows of one on a PostgreSQL server.
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

/** The target of a restored backup, which is not used by anybody else. */
export interface RestorePlace extends AsyncDisposable {
  /** A text for errors if there is already a database; undefined if there is none. */
  readonly occupied: string | undefined;
  /**
   * Restores the backup, completely or not at all. The old database is kept in a file beside it.
   *
   * @param aside A complete database with the current tables, in the server's folder. It may be moved away.
   */
  put(aside: string): Promise<void>;
}

/** The file that keeps the old database. */
export function keptFile(data: string): string {
  return `${databaseFile(data)}.old`;
}

/**
 * Finds the target of a restored backup.
 *
 * @param hold Locks the folder.
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

/** The database is replaced atomically. The old one is in a file beside it. */
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
    // The write-ahead log is merged into the file and removed, because SQLite would use it for the new file.
    using old = new DatabaseSync(path);
    old.exec("PRAGMA journal_mode = DELETE");
  } catch {
    // The database is damaged, which may be the reason for the restore.
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
