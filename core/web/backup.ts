/**
 * Backups of the store. They contain no keys of tunnels, which only the keeper has.
 *
 * @module
 */

import { writeDurably } from "../durable_file.ts";
import { databaseOpener, databasePlace } from "./database.ts";
import { webFolder } from "./folders.ts";
import { asOwner } from "./owner.ts";
import type { Database } from "./store/database.ts";
import { newId } from "./store/ids.ts";

/** A backup cannot be made or restored. Nothing was changed then. */
export class BackupError extends Error {
  /** Distinguishes this kind of error from others. */
  override name = "BackupError";

  /** @param hint What to do about it. */
  constructor(message: string, readonly hint?: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** Makes a consistent copy of the database while it is in use. */
export async function readBackup(
  database: Database,
  data: string,
): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const aside = `${webFolder(data)}/.backup-${newId()}`;
  try {
    await asOwner(data, () => database.copyTo(aside));
    return asOwner(data, () => Deno.openSync(aside)).readable;
  } finally {
    // It stays readable while it is open.
    await Deno.remove(aside).catch(() => {});
  }
}

/**
 * Writes a copy of the database to a file that only we can read.
 *
 * @throws {BackupError} If there is no database, or the file exists.
 * @throws {FileError} If it cannot be written.
 */
export async function writeBackup(
  data: string,
  to: string,
  { force = false, database: url }: { force?: boolean; database?: string | undefined } = {},
): Promise<void> {
  const place = await databasePlace(data, url);
  if (!await isThere(place.kind === "sqlite" ? place.file : webFolder(data))) {
    throw new BackupError(`there is no server in ${data}`, "name its folder: --data FOLDER");
  }
  // It is not migrated, because a web process of an earlier wgd may be using it.
  await using database = await (await databaseOpener(data, place))();
  try {
    await writeDurably(to, await readBackup(database, data), { createNew: !force, renew: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    throw new BackupError(`"${to}" already exists`, "to replace it: --force");
  }
}

/** Whether a path exists, without following a link. */
export async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
