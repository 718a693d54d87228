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
    const left = isFile && name.startsWith(prefix) && ASIDE.test(name.slice(prefix.length));
    if (left) await Deno.remove(`${folder}/${name}`).catch(() => {});
  }
}

/** What follows the name of a file, and a dot, in the name of one that is written aside. */
const ASIDE = /^[0-9a-f]{16}\.new$/;

/** A name that nobody else takes. (Those of `Deno.makeTempFile` vary in length, so none can be told from a user's.) */
function asideName(target: string): string {
  const [number] = crypto.getRandomValues(new BigUint64Array(1));
  return `${target}.${number!.toString(16).padStart(16, "0")}.new`;
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** The folder that a file is in. (The first import of a `node:` module, such as node:path, takes 8 ms of a start.) */
export function folderOf(path: string): string {
  return path.includes("/") ? path.replace(/\/[^/]*$/, "") || "/" : ".";
}

// Only `sync` may take long. Of the others each takes less than to have it done by another thread.

async function write(path: string, bytes: Uint8Array, createNew: boolean): Promise<void> {
  const { target, aside, file, before } = begin(path, bytes, createNew);
  try {
    try {
      await file.sync();
    } finally {
      file.close();
    }
    moveIntoPlace(aside, target, before, createNew);
  } finally {
    removeIfThere(aside);
  }
  // The name itself is on disk only when its folder is.
  using folder = await Deno.open(folderOf(target));
  await folder.sync();
}

/** Writes the bytes aside. */
function begin(path: string, bytes: Uint8Array, createNew: boolean): {
  target: string;
  aside: string;
  file: Deno.FsFile;
  before: Deno.FileInfo | undefined;
} {
  // A link stays a link: what it points at is replaced.
  const target = createNew ? path : attempt(() => Deno.realPathSync(path)) ?? path;
  const before = attempt(() => Deno.statSync(target));
  // Root may replace /dev/null, too.
  if (before && !before.isFile && !before.isDirectory && !createNew) {
    throw new Error("it is not a regular file");
  }
  const aside = asideName(target);
  const file = Deno.openSync(aside, { write: true, createNew: true, mode: 0o600 });
  try {
    for (let written = 0; written < bytes.length;) written += file.writeSync(bytes.subarray(written));
    return { target, aside, file, before };
  } catch (error) {
    file.close();
    removeIfThere(aside);
    throw error;
  }
}

function moveIntoPlace(
  aside: string,
  target: string,
  before: Deno.FileInfo | undefined,
  createNew: boolean,
): void {
  // Unlike a rename, a link never replaces what another has made meanwhile.
  if (createNew) return Deno.linkSync(aside, target);
  if (before?.mode) {
    Deno.chmodSync(aside, before.mode & 0o7777);
    if (Deno.uid() === 0) Deno.chownSync(aside, before.uid, before.gid);
  }
  Deno.renameSync(aside, target);
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
