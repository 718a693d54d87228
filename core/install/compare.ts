/**
 * Compares existing files with those of an installation. Changes nothing.
 *
 * @module
 */

import { basename, dirname, join } from "node:path";
import { Folder } from "../../ffi/linux/folder.ts";
import { InstallError, type InstallFile } from "./plan.ts";
import { explain } from "./system_words.ts";

/** What to do with one file. */
export interface Change {
  readonly file: InstallFile;
  /** Where it is now: below the root. */
  readonly path: string;
  readonly action: "install" | "replace" | "keep" | "remove" | "leave";
  /** Why it is kept. */
  readonly reason?: string;
}

/** What is installed, and where. */
export interface InstallOptions {
  /** The executable that is installed. */
  readonly program: string;
  /** The folder to use as the root of the file system; "" for the real root. */
  readonly root: string;
  /** Whether the installation is for one user. */
  readonly forUser?: boolean;
}

/** Folders that contain a command, before those of PATH, and folders that contain a unit (systemd.unit(5)). */
const FOLDERS = {
  command: ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"],
  unit: [
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
  ],
} as const;

/**
 * Compares existing files with those to install.
 *
 * @throws {InstallError} If an obstacle prevents the installation.
 */
export async function compareForInstall(
  files: readonly InstallFile[],
  options: InstallOptions,
): Promise<Change[]> {
  return await Promise.all(files.map(async (file): Promise<Change> => {
    const path = options.root + file.path;
    const state = await compare(file, path, options.program);
    if (state === "same") return { file, path, action: "keep" };
    const other = isOurUnit(file, path) ? undefined : await findOther(file, options.root);
    if (other !== undefined) {
      return { file, path, action: "leave", reason: `there is already a ${file.yieldsTo} ${other}` };
    }
    return { file, path, action: state === "absent" ? "install" : "replace" };
  }));
}

/**
 * Compares existing files with those that an installation would have written.
 *
 * @throws {InstallError} As `compareForInstall`.
 */
export async function compareForUninstall(
  files: readonly InstallFile[],
  options: InstallOptions,
): Promise<Change[]> {
  const changes: Change[] = [];
  for (const file of files) {
    const path = options.root + file.path;
    const state = await compare(file, path, options.program);
    if (state === "same") changes.push({ file, path, action: "remove" });
    // Another program's command wg does not concern us.
    if (state !== "other" || file.yieldsTo && !isOurUnit(file, path)) continue;
    changes.push({ file, path, action: "leave", reason: "it differs from what this wgd would write" });
  }
  return changes;
}

async function compare(
  { content }: InstallFile,
  path: string,
  program: string,
): Promise<"absent" | "same" | "other"> {
  return await explain(path, async () => {
    using folder = openFolder(dirname(path));
    const name = basename(path);
    const info = folder && await Deno.lstat(folder.at(name)).catch(absence);
    if (!folder || !info) return "absent";
    if (info.isDirectory) {
      throw new InstallError(`${path} is a folder`, "wgd installs a file there; move the folder away");
    }
    if (content.kind === "link") {
      return info.isSymlink && await Deno.readLink(folder.at(name)) === content.to ? "same" : "other";
    }
    const mode = content.kind === "program" ? 0o755 : 0o644;
    if (!info.isFile || (info.mode! & 0o7777) !== mode) return "other";
    using file = openFile(folder, name);
    if (file === undefined) return "other";
    if (content.kind === "text") return hasText(file, content.text) ? "same" : "other";
    using other = await Deno.open(program);
    return hasSameContent(file, other) ? "same" : "other";
  });
}

/**
 * The folder of a path; undefined if it does not exist. A file in place of a folder is detected when it is written to.
 */
function openFolder(path: string): Folder | undefined {
  try {
    return Folder.open(path);
  } catch (error) {
    return absence(error);
  }
}

function absence(error: unknown): undefined {
  if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory)) throw error;
}

/** Opens a regular file; undefined if it is something else by now. Opening a pipe would block. */
function openFile(folder: Folder, name: string): Deno.FsFile | undefined {
  using held = folder.hold(name);
  return held.info.isFile ? Deno.openSync(held.path) : undefined;
}

function hasText(file: Deno.FsFile, text: string): boolean {
  const expected = new TextEncoder().encode(text);
  if (file.statSync().size !== expected.length) return false;
  const bytes = new Uint8Array(expected.length);
  return file.readSync(bytes) === bytes.length && bytes.every((byte, i) => byte === expected[i]);
}

function hasSameContent(one: Deno.FsFile, other: Deno.FsFile): boolean {
  if (one.statSync().size !== other.statSync().size) return false;
  const [left, right] = [new Uint8Array(1 << 20), new Uint8Array(1 << 20)];
  for (;;) {
    const [read, also] = [one.readSync(left) ?? 0, other.readSync(right) ?? 0];
    if (read === 0 && also === 0) return true;
    // A read of a file returns fewer bytes only at its end.
    if (read !== also) return false;
    for (let i = 0; i < read; i++) if (left[i] !== right[i]) return false;
  }
}

/** The longest unit that is read to check whether it is ours. */
const LONGEST_UNIT = 65_536;

/** Whether a unit starts the same program as ours, because another version of wgd has written it. */
function isOurUnit({ content, yieldsTo }: InstallFile, path: string): boolean {
  if (yieldsTo !== "unit" || content.kind !== "text") return false;
  const start = /^ExecStart=.*$/m.exec(content.text)?.[0];
  if (start === undefined) return false;
  try {
    using folder = Folder.open(dirname(path));
    using file = openFile(folder, basename(path));
    const bytes = new Uint8Array(LONGEST_UNIT);
    const text = new TextDecoder().decode(bytes.subarray(0, file?.readSync(bytes) ?? 0));
    return text.split("\n").includes(start);
  } catch {
    return false;
  }
}

/** The path of another file that has priority over this one; undefined if there is none. */
async function findOther({ path, yieldsTo }: InstallFile, root: string): Promise<string | undefined> {
  if (!yieldsTo) return undefined;
  const own = root === "" && yieldsTo === "command" ? (Deno.env.get("PATH") ?? "").split(":") : [];
  const folders = [...FOLDERS[yieldsTo], ...own.filter((folder) => folder !== "")];
  for (const candidate of [path, ...folders.map((folder) => join(folder, basename(path)))]) {
    if (await Deno.lstat(root + candidate).then(() => true, () => false)) return candidate;
  }
  return undefined;
}
