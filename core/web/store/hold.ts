/**
 * Locks the folder of a database (flock(2)). Users of the database share the lock. Replacing the file needs the
 * exclusive lock. SQLite's own locks are not sufficient, because they belong to the replaced file.
 *
 * @module
 */

/** Takes the shared lock of a database's folder. It waits for an exclusive lock, which is held only for moments. */
export function holdFolder(database: string): Disposable {
  const folder = Deno.openSync(folderOf(database));
  folder.lockSync(false);
  return folder;
}

/** Takes the exclusive lock of a database's folder. @returns Undefined if others have the lock. */
export function holdFolderAlone(database: string): Disposable | undefined {
  const folder = Deno.openSync(folderOf(database));
  if (folder.tryLockSync(true)) return folder;
  folder.close();
  return undefined;
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/") + 1);
}
