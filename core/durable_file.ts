/**
 * Files that are there whole or not at all, also after a power cut.
 *
 * @module
 */

import { Folder } from "../ffi/linux/folder.ts";
import { FileError } from "./file_error.ts";

/** How to write. */
export interface WriteOptions {
  /** Refuses to replace a file that is there. */
  readonly createNew?: boolean;
  /** Replaces a link, instead of what it leads to. */
  readonly replaceLink?: boolean;
  /** Mode of a file where there was none, whatever the umask is. @default {0o600} */
  readonly mode?: number;
  /** Gives this mode, and our own user, also to one that takes the place of another. */
  readonly renew?: boolean;
}

/** What goes into a file: all of it, or one part after the other. */
export type Content = Uint8Array | AsyncIterable<Uint8Array>;

/**
 * Writes a file aside, syncs it and moves it into place. A file that was there keeps its mode and owner, a new one is
 * for its owner alone (0600): what wgd writes has keys in it. A link stays a link, and what it leads to is replaced, unless
 * the link is another user's: that is refused (ffi/linux/folder.ts).
 *
 * @throws {Deno.errors.AlreadyExists} If `createNew` is asked for and the file is there.
 * @throws {FileError} If it cannot be written; then the old one is as it was, and nothing is left beside it.
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
 * Puts a link in the place of a file, a link or nothing.
 *
 * @param target What it leads to.
 * @throws {FileError} If it cannot be made; then all is as it was.
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
 * Takes away what writers of a file left beside it when they were killed.
 *
 * @param path Of a file that nobody else writes meanwhile.
 */
export function removeAside(path: string): void {
  attempt(() => {
    const { folder, name: target } = Folder.locate(path, true);
    using place = folder;
    // A folder that cannot be listed keeps them.
    for (const { name, isFile } of [...Deno.readDirSync(place.path)]) {
      const left = isFile && name.startsWith(`${target}.`) && ASIDE.test(name.slice(target.length + 1));
      if (left) attempt(() => Deno.removeSync(place.at(name)));
    }
  });
}

/** What follows the name of a file, and a dot, in the name of one that is written aside. */
const ASIDE = /^[0-9a-f]{16}\.new$/;

/** A name that nobody else takes. (Those of `Deno.makeTempFile` vary in length, so none can be told from a user's.) */
function asideName(target: string): string {
  const [number] = crypto.getRandomValues(new BigUint64Array(1));
  return `${target}.${number!.toString(16).padStart(16, "0")}.new`;
}

// Only `sync` may take long. Of the others each takes less than to have it done by another thread.

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
  // The name itself is on disk only when its folder is.
  using entries = await Deno.open(place.path);
  await entries.sync();
}

function locate(path: string, follow: boolean): { folder: Folder; name: string } {
  // Root may replace /dev/null, too.
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

/** Gives a new file back what the umask took from its mode. File systems without modes are left alone. */
function allow(folder: Folder, aside: string, file: Deno.FsFile, mode: number): void {
  if ((file.statSync().mode! & mode) === mode) return;
  using held = folder.holdNew(aside, file);
  Deno.chmodSync(held.path, mode);
}

/** Unlike a rename, a link never replaces what another has made meanwhile. */
function beNew(folder: Folder, aside: string, name: string): void {
  Deno.linkSync(folder.at(aside), folder.at(name));
}

function replace(folder: Folder, aside: string, name: string): void {
  Deno.renameSync(folder.at(aside), folder.at(name));
}

/** Gives a file that was written aside the mode and the owner of the one that it replaces. */
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

/** What a call gives; nothing if it fails. */
function attempt<Result>(call: () => Result): Result | undefined {
  try {
    return call();
  } catch {
    return undefined;
  }
}
