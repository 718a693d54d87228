/**
 * Who uses a database holds the folder it is in, together with others (flock(2)). Who puts another file in its place holds
 * it alone. SQLite's own locks would not do: they are of the file, and go with it.
 *
 * @module
 */

/** Holds the folder of a database together with others. One who holds it alone is waited for; that takes moments. */
export function holdFolder(database: string): Disposable {
  const folder = Deno.openSync(folderOf(database));
  folder.lockSync(false);
  return folder;
}

/** Holds the folder of a database alone. @returns Undefined if others hold it. */
export function holdFolderAlone(database: string): Disposable | undefined {
  const folder = Deno.openSync(folderOf(database));
  if (folder.tryLockSync(true)) return folder;
  folder.close();
  return undefined;
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/") + 1);
}
