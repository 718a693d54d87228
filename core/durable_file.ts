/**
 * Writes files completely or not at all, even if the power fails.
 *
 * @module
 */

import { Folder } from "../ffi/linux/folder.ts";
import { FileError } from "./file_error.ts";

/** How to write. */
export interface WriteOptions {
  /** Refuses to replace an existing file. */
  readonly createNew?: boolean;
  /** Replaces a link itself, instead of its target. */
  readonly replaceLink?: boolean;
  /** Mode of a new file, regardless of the umask. @default {0o600} */
  readonly mode?: number;
  /** Sets this mode, and our own user, also for a file that replaces another. */
  readonly renew?: boolean;
}

/** The content of a file: all of it, or one part after the other. */
export type Content = Uint8Array | AsyncIterable<Uint8Array>;

/**
 * Writes a temporary file, syncs it and renames it. A file that existed keeps its mode and owner. A new one can only be
 * read by its owner (0600), because what wgd writes contains keys. A link is kept and its target is replaced. A link of
 * another user is refused (ffi/linux/folder.ts).
 *
 * @throws {Deno.errors.AlreadyExists} If `createNew` is set and the file exists.
 * @throws {FileError} If it cannot be written. Then the old file is unchanged, and no temporary file is left.
 */
export async function writeDurably(
  path: string,
  content: Content,
  options: WriteOptions = {},
): Promise<void> {
  try {
    await write(path, content, options);
  } catch (error) {
    if (options.createNew && error instanceof Deno.errors.AlreadyExists) throw error;
    throw new FileError("write", path, error);
  }
}

/**
 * Makes a link in place of a file, a link or nothing.
 *
 * @param target The target of the link.
 * @throws {FileError} If it cannot be made. Then nothing is changed.
 */
export function linkDurably(path: string, target: string): void {
  try {
    const { folder, name } = Folder.locate(path, false);
    using place = folder;
    const aside = asideName(name);
    try {
      Deno.symlinkSync(target, place.at(aside));
      Deno.renameSync(place.at(aside), place.at(name));
    } finally {
      removeIfThere(place.at(aside));
    }
  } catch (error) {
    throw new FileError("write", path, error);
  }
}

/**
 * Removes temporary files that killed writers of a file have left.
 *
 * @param path A file that nobody else writes meanwhile.
 */
export function removeAside(path: string): void {
  attempt(() => {
    const { folder, name: target } = Folder.locate(path, true);
    using place = folder;
    // If a folder cannot be listed, they stay.
    for (const { name, isFile } of [...Deno.readDirSync(place.path)]) {
      const left = isFile && name.startsWith(`${target}.`) &&
        TEMPORARY_SUFFIX.test(name.slice(target.length + 1));
      if (left) attempt(() => Deno.removeSync(place.at(name)));
    }
  });
}

/** The suffix of a temporary file, after the name of the file and a dot. */
const TEMPORARY_SUFFIX = /^[0-9a-f]{16}\.new$/;

/**
 * A name that nobody else uses. (Names of `Deno.makeTempFile` vary in length, so they cannot be told from a user's
 * files.)
 */
function asideName(target: string): string {
  const [number] = crypto.getRandomValues(new BigUint64Array(1));
  return `${target}.${number!.toString(16).padStart(16, "0")}.new`;
}

// Only `sync` may take long. The other calls take less time than passing them to another thread.

async function write(path: string, content: Content, options: WriteOptions): Promise<void> {
  const { createNew = false, replaceLink = false, mode = 0o600, renew = false } = options;
  const { folder, name } = locate(path, !createNew && !replaceLink);
  using place = folder;
  const aside = asideName(name);
  try {
    using file = makeAside(place, aside, mode);
    if (content instanceof Uint8Array) writeAll(file, content);
    else for await (const part of content) writeAll(file, part);
    await file.sync();
    if (!createNew && !renew) imitate(place, name, aside, file);
    if (createNew) beNew(place, aside, name);
    else replace(place, aside, name);
  } finally {
    removeIfThere(place.at(aside));
  }
  // The name itself is on disk only when its folder is synced.
  using entries = await Deno.open(place.path);
  await entries.sync();
}

function locate(path: string, follow: boolean): { folder: Folder; name: string } {
  // Root can replace even /dev/null.
  const before = follow ? attempt(() => Deno.statSync(path)) : undefined;
  if (before && !before.isFile && !before.isDirectory) throw new Error("it is not a regular file");
  return Folder.locate(path, follow);
}

function makeAside(folder: Folder, aside: string, mode: number): Deno.FsFile {
  const file = Deno.openSync(folder.at(aside), { write: true, createNew: true, mode });
  try {
    allow(folder, aside, file, mode);
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length;) written += file.writeSync(bytes.subarray(written));
}

/** Restores the mode bits of a new file that the umask removed. File systems without modes are left alone. */
function allow(folder: Folder, aside: string, file: Deno.FsFile, mode: number): void {
  if ((file.statSync().mode! & mode) === mode) return;
  using held = folder.holdNew(aside, file);
  Deno.chmodSync(held.path, mode);
}

/** Unlike a rename, a link never replaces a file that another process has made meanwhile. */
function beNew(folder: Folder, aside: string, name: string): void {
  Deno.linkSync(folder.at(aside), folder.at(name));
}

function replace(folder: Folder, aside: string, name: string): void {
  Deno.renameSync(folder.at(aside), folder.at(name));
}

/** Gives a temporary file the mode and the owner of the file that it replaces. */
function imitate(folder: Folder, name: string, aside: string, file: Deno.FsFile): void {
  const before = attempt(() => Deno.lstatSync(folder.at(name)));
  if (!before?.isFile) return;
  using held = folder.holdNew(aside, file);
  Deno.chmodSync(held.path, before.mode! & 0o7777);
  if (Deno.uid() === 0) Deno.chownSync(held.path, before.uid, before.gid);
}

function removeIfThere(path: string): void {
  attempt(() => Deno.removeSync(path));
}

/** The result of a call; nothing if it fails. */
function attempt<Result>(call: () => Result): Result | undefined {
  try {
    return call();
  } catch {
    return undefined;
  }
}
