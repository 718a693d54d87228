/**
 * Installs and uninstalls files: each file atomically, and all of them or none.
 *
 * A prefix may be in the home of a user, and root installs there. So folders are opened once, as descriptors that no
 * link of that user can redirect (ffi/linux/folder.ts), and files are created under new names.
 *
 * @module
 */

import { basename, dirname } from "node:path";
import { Folder } from "../../ffi/linux/folder.ts";
import type { Change, InstallOptions } from "./compare.ts";
import type { InstallFile } from "./plan.ts";
import { explain } from "./system_words.ts";

/** A file that was written under a temporary name. */
interface Written {
  readonly change: Change;
  readonly folder: Folder;
  readonly aside: string;
}

/** Steps that undo the changes, the last first. */
type Undo = (() => void)[];

/**
 * Installs. Every file is first written under a temporary name and then renamed. Programs that run from an old file
 * continue.
 *
 * @param changes From `compareForInstall`.
 * @param signal Aborting it ends the work between two files.
 * @throws {InstallError} If a file cannot be written. Nothing has changed then.
 * @throws {unknown} The signal's reason. Nothing has changed then.
 */
export async function install(
  changes: readonly Change[],
  { program }: InstallOptions,
  signal: AbortSignal,
): Promise<void> {
  const wanted = changes.filter(({ action }) => action === "install" || action === "replace");
  using folders = new DisposableStack();
  const undo: Undo = [];
  const backups: (() => void)[] = [];
  try {
    const written: Written[] = [];
    for (const change of wanted) {
      signal.throwIfAborted();
      await explain(change.path, async () => {
        const folder = folders.use(Folder.open(dirname(change.path), (above, name) => {
          makeFolder(above, name, folders, undo);
        }));
        const aside = newName(basename(change.path));
        undo.push(() => Deno.removeSync(folder.at(aside)));
        await write(folder, aside, change.file, program);
        written.push({ change, folder, aside });
      });
    }
    signal.throwIfAborted();
    for (const file of written) await explain(file.change.path, () => moveIntoPlace(file, undo, backups));
  } catch (error) {
    for (const step of undo.reverse()) attempt(step);
    throw error;
  } finally {
    for (const remove of backups) attempt(remove);
  }
}

/** Makes a folder that everybody can read, regardless of the umask. */
function makeFolder(above: Folder, name: string, folders: DisposableStack, undo: Undo): void {
  Deno.mkdirSync(above.at(name));
  // The loop continues and closes the folder above.
  const parent = folders.use(above.again());
  undo.push(() => Deno.removeSync(parent.at(name)));
  using made = above.hold(name);
  Deno.chmodSync(made.path, 0o755);
}

function moveIntoPlace({ change, folder, aside }: Written, undo: Undo, backups: (() => void)[]): void {
  const name = basename(change.path);
  if (change.action === "replace") {
    const backup = newName(name);
    Deno.linkSync(folder.at(name), folder.at(backup));
    backups.push(() => Deno.removeSync(folder.at(backup)));
    undo.push(() => Deno.renameSync(folder.at(backup), folder.at(name)));
  }
  Deno.renameSync(folder.at(aside), folder.at(name));
  if (change.action === "install") undo.push(() => Deno.removeSync(folder.at(name)));
}

/**
 * Removes files, and folders that become empty.
 *
 * @param changes From `compareForUninstall`.
 * @param prefix The folder that contains all files. The usual folders of a system prefix stay.
 * @throws {InstallError} If a file cannot be removed. The files before it are removed then.
 */
export async function uninstall(
  changes: readonly Change[],
  prefix: string,
  { root }: InstallOptions,
): Promise<void> {
  // The executable is last, because it can remove what is left.
  const removals = changes.filter(({ action }) => action === "remove").reverse();
  for (const { path } of removals) {
    await explain(path, () => {
      using folder = Folder.open(dirname(path));
      Deno.removeSync(folder.at(basename(path)));
    });
  }
  const usual = new Set(
    prefix === "/usr" || prefix === "/usr/local" ? STANDARD_FOLDERS.map((path) => prefix + path) : [],
  );
  for (const { file } of removals) {
    for (let folder = dirname(file.path); folder.startsWith(prefix); folder = dirname(folder)) {
      if (usual.has(folder) || !removeFolder(root + folder)) break;
    }
  }
}

/** Removes a folder that is empty. A link to a folder is left to the user who made it. */
function removeFolder(path: string): boolean {
  return attempt(() => {
    using above = Folder.open(dirname(path));
    const entry = above.at(basename(path));
    if (!Deno.lstatSync(entry).isDirectory) throw new Error("it is not a folder");
    Deno.removeSync(entry);
  });
}

/** Folders of the Filesystem Hierarchy Standard, which exist even if they are empty. */
const STANDARD_FOLDERS = ["", "/bin", "/lib", "/share", "/share/man", "/share/man/man7", "/share/man/man8"];

/** Makes systemd load new and removed units, if the installation is for the running system. */
export async function reloadUnits(
  changes: readonly Change[],
  { root, forUser }: InstallOptions,
): Promise<void> {
  const changed = changes.some(({ path, action }) =>
    path.includes("/systemd/") && action !== "keep" && action !== "leave"
  );
  if (!changed || root !== "" || !await Deno.lstat("/run/systemd/system").catch(() => null)) return;
  const args = [...forUser ? ["--user"] : [], "daemon-reload"];
  // If this fails, systemd finds them at the next start of the machine, or login of the user.
  await new Deno.Command("systemctl", { args, stdout: "null", stderr: "null" }).output().catch(() => {});
}

/** A name that nobody else uses or can predict. */
function newName(name: string): string {
  return `${name}.${crypto.randomUUID()}.new`;
}

async function write(
  folder: Folder,
  name: string,
  { content }: InstallFile,
  program: string,
): Promise<void> {
  const path = folder.at(name);
  if (content.kind === "link") return await Deno.symlink(content.to, path);
  using file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  if (content.kind === "text") writeAll(file, new TextEncoder().encode(content.text));
  else copy(program, file);
  using held = folder.holdNew(name, file);
  await Deno.chmod(held.path, content.kind === "program" ? 0o755 : 0o644);
  // Synced before it replaces another file.
  await file.sync();
}

function copy(program: string, to: Deno.FsFile): void {
  using from = Deno.openSync(program);
  const buffer = new Uint8Array(1 << 20);
  for (let length; (length = from.readSync(buffer)) !== null;) writeAll(to, buffer.subarray(0, length));
}

function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let written = 0; written < bytes.length;) written += file.writeSync(bytes.subarray(written));
}

/** Tries an action. @returns Whether it succeeded. */
function attempt(step: () => void): boolean {
  try {
    step();
    return true;
  } catch {
    return false;
  }
}
