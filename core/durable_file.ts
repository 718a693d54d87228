/**
 * Files that are there whole or not at all, also after a power cut.
 *
 * @module
 */

import { FileError } from "./file_error.ts";

/** How to write. */
export interface WriteOptions {
  /** Refuses to replace a file that is there. */
  readonly createNew?: boolean;
}

/**
 * Writes a file aside, syncs it and moves it into place. A file that was there keeps its mode and owner, a new one is
 * for its owner alone (0600): what wgd writes has keys in it.
 *
 * @throws {Deno.errors.AlreadyExists} If `createNew` is asked for and the file is there.
 * @throws {FileError} If it cannot be written; then the old one is as it was, and nothing is left beside it.
 */
export async function writeDurably(
  path: string,
  bytes: Uint8Array,
  { createNew = false }: WriteOptions = {},
): Promise<void> {
  try {
    await write(path, bytes, createNew);
  } catch (error) {
    if (createNew && error instanceof Deno.errors.AlreadyExists) throw error;
    throw new FileError("write", path, error);
  }
}

/**
 * Takes away what writers of a file left beside it when they were killed.
 *
 * @param path Of a file that nobody else writes meanwhile.
 */
export async function removeAside(path: string): Promise<void> {
  const target = await Deno.realPath(path).catch(() => path);
  const [folder, prefix] = [folderOf(target), `${nameOf(target)}.`];
  // A folder that cannot be listed keeps them.
  const entries = await Array.fromAsync(Deno.readDir(folder)).catch(() => []);
  for (const { name, isFile } of entries) {
    // As `Deno.makeTempFile` names them.
    const left = isFile && name.startsWith(prefix) && /^[0-9a-f]{16}\.new$/.test(name.slice(prefix.length));
    if (left) await Deno.remove(`${folder}/${name}`).catch(() => {});
  }
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** The folder that a file is in. (The first import of a `node:` module, such as node:path, takes 8 ms of a start.) */
export function folderOf(path: string): string {
  return path.includes("/") ? path.replace(/\/[^/]*$/, "") || "/" : ".";
}

async function write(path: string, bytes: Uint8Array, createNew: boolean): Promise<void> {
  // A link stays a link: what it points at is replaced.
  const target = createNew ? path : await Deno.realPath(path).catch(() => path);
  const before = await Deno.stat(target).catch(() => undefined);
  // Root may replace /dev/null, too.
  if (before && !before.isFile && !before.isDirectory && !createNew) {
    throw new Error("it is not a regular file");
  }
  const dir = folderOf(target);
  const aside = await Deno.makeTempFile({
    dir,
    prefix: `${nameOf(target)}.`,
    suffix: ".new",
  });
  try {
    {
      using file = await Deno.open(aside, { write: true });
      for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
      await file.sync();
    }
    if (before?.mode && !createNew) {
      await Deno.chmod(aside, before.mode & 0o7777);
      if (Deno.uid() === 0) await Deno.chown(aside, before.uid, before.gid);
    }
    // Unlike a rename, a link never replaces what another has made meanwhile.
    if (createNew) await Deno.link(aside, target);
    else await Deno.rename(aside, target);
  } finally {
    await Deno.remove(aside).catch(() => {});
  }
  // The name itself is on disk only when its folder is.
  using folder = await Deno.open(dir);
  await folder.sync();
}
