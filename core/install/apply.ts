/**
 * Installing and taking away: each file as a whole, and all of them or none.
 *
 * @module
 */

import { basename, dirname, join } from "node:path";
import { InstallError, type InstallFile } from "./plan.ts";

/** What is to be done with one file. */
export interface Change {
  readonly file: InstallFile;
  /** Where it is now: below the root. */
  readonly path: string;
  readonly action: "install" | "replace" | "keep" | "remove" | "leave";
  /** Why it is left as it is. */
  readonly reason?: string;
}

/** Where from and where to. */
export interface Place {
  /** The executable that is installed. */
  readonly program: string;
  /** The folder that stands for the root of the system; "" for the system's own. */
  readonly root: string;
}

/** Folders in which a command is found, before those of PATH, and in which a unit is (systemd.unit(5)). */
const FOLDERS = {
  command: ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"],
  unit: [
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
  ],
} as const;

/** Compares what there is with what shall be. Changes nothing. */
export async function compareForInstall(files: readonly InstallFile[], place: Place): Promise<Change[]> {
  return await Promise.all(files.map(async (file): Promise<Change> => {
    const path = place.root + file.path;
    const state = await compare(file, path, place.program);
    if (state === "same") return { file, path, action: "keep" };
    const other = await isOurUnit(file, path) ? undefined : await findOther(file, place.root);
    if (other !== undefined) {
      return { file, path, action: "leave", reason: `there is a ${file.yieldsTo} ${other} already` };
    }
    return { file, path, action: state === "absent" ? "install" : "replace" };
  }));
}

/** Compares what there is with what an installation would have written. Changes nothing. */
export async function compareForUninstall(files: readonly InstallFile[], place: Place): Promise<Change[]> {
  const changes: Change[] = [];
  for (const file of files) {
    const path = place.root + file.path;
    const state = await compare(file, path, place.program);
    if (state === "same") changes.push({ file, path, action: "remove" });
    // Somebody else's command wg is none of our business.
    if (state !== "other" || file.yieldsTo && !await isOurUnit(file, path)) continue;
    changes.push({ file, path, action: "leave", reason: "it is not what this wgd would write" });
  }
  return changes;
}

/**
 * Installs. Every file is first written beside its place and then moved there; what runs from an old one goes on.
 *
 * @param changes From {@linkcode compareForInstall}.
 * @param signal Aborting it ends the work between two files.
 * @throws {InstallError} If a file cannot be written; then all is as it was before.
 * @throws {unknown} The signal's reason, likewise.
 */
export async function install(
  changes: readonly Change[],
  { program }: Place,
  signal: AbortSignal,
): Promise<void> {
  const wanted = changes.filter(({ action }) => action === "install" || action === "replace");
  const undo: (() => Promise<unknown>)[] = [];
  const backups: string[] = [];
  try {
    const written: { change: Change; aside: string }[] = [];
    for (const change of wanted) {
      signal.throwIfAborted();
      await explain(change.path, async () => {
        await makeFolders(dirname(change.path), undo);
        const aside = `${change.path}.${Deno.pid}.new`;
        undo.push(() => Deno.remove(aside));
        await write(aside, change.file, program);
        written.push({ change, aside });
      });
    }
    signal.throwIfAborted();
    for (const { change: { path, action }, aside } of written) {
      await explain(path, async () => {
        if (action === "replace") {
          const backup = `${path}.${Deno.pid}.old`;
          await Deno.link(path, backup);
          backups.push(backup);
          undo.push(() => Deno.rename(backup, path));
        }
        await Deno.rename(aside, path);
        if (action === "install") undo.push(() => Deno.remove(path));
      });
    }
  } catch (error) {
    for (const step of undo.reverse()) await step().catch(() => {});
    throw error;
  } finally {
    for (const backup of backups) await Deno.remove(backup).catch(() => {});
  }
}

/**
 * Takes files away, and folders that are empty then.
 *
 * @param changes From {@linkcode compareForUninstall}.
 * @param prefix What all files are below; of a system's own prefix its usual folders stay.
 * @throws {InstallError} If a file cannot be removed; those before it are gone.
 */
export async function uninstall(
  changes: readonly Change[],
  prefix: string,
  { root }: Place,
): Promise<void> {
  // The executable last: with it what is left could be taken away again.
  const removals = changes.filter(({ action }) => action === "remove").reverse();
  for (const { path } of removals) await explain(path, () => Deno.remove(path));
  const usual = new Set(
    prefix === "/usr" || prefix === "/usr/local" ? USUAL.map((path) => prefix + path) : [],
  );
  for (const { file } of removals) {
    for (let folder = dirname(file.path); folder.startsWith(prefix); folder = dirname(folder)) {
      if (usual.has(folder)) break;
      if (!await removeFolder(root + folder)) break;
    }
  }
}

/** Removes a folder that is empty; a link to one is whoever's made it. */
async function removeFolder(path: string): Promise<boolean> {
  const isFolder = await Deno.lstat(path).then(({ isDirectory }) => isDirectory, () => false);
  return isFolder && await Deno.remove(path).then(() => true, () => false);
}

/** Folders of the Filesystem Hierarchy Standard, which are there without anything in them. */
const USUAL = ["", "/bin", "/lib", "/share", "/share/man", "/share/man/man7", "/share/man/man8"];

/** Lets systemd see units that have come or gone, if this is the system that runs. */
export async function reloadUnits(changes: readonly Change[], { root }: Place): Promise<void> {
  const changed = changes.some(({ path, action }) =>
    path.includes("/systemd/") && action !== "keep" && action !== "leave"
  );
  if (!changed || root !== "" || !await exists("/run/systemd/system")) return;
  // If it cannot be told, it finds out at the next start of the machine.
  await new Deno.Command("systemctl", { args: ["daemon-reload"], stdout: "null", stderr: "null" }).output()
    .catch(() => {});
}

async function compare(
  { content }: InstallFile,
  path: string,
  program: string,
): Promise<"absent" | "same" | "other"> {
  const info = await explain(path, () => Deno.lstat(path)).catch((error) => {
    if (isAbsence(error)) return undefined;
    throw error;
  });
  if (info === undefined) return "absent";
  if (info.isDirectory) {
    throw new InstallError(`${path} is a folder`, "hint: a file of wgd belongs there; move it away");
  }
  if (content.kind === "link") {
    return info.isSymlink && await Deno.readLink(path) === content.to ? "same" : "other";
  }
  const mode = content.kind === "program" ? 0o755 : 0o644;
  if (!info.isFile || (info.mode! & 0o7777) !== mode) return "other";
  const same = content.kind === "program"
    ? await sameContent(path, program)
    : await explain(path, () => Deno.readTextFile(path)) === content.text;
  return same ? "same" : "other";
}

/** A folder on the way that is a file is found when something is written there. */
function isAbsence(error: unknown): boolean {
  const { cause } = error as Error;
  return cause instanceof Deno.errors.NotFound || cause instanceof Deno.errors.NotADirectory;
}

async function sameContent(one: string, other: string): Promise<boolean> {
  using a = await explain(one, () => Deno.open(one));
  using b = await Deno.open(other);
  if ((await a.stat()).size !== (await b.stat()).size) return false;
  const [left, right] = [new Uint8Array(1 << 20), new Uint8Array(1 << 20)];
  for (;;) {
    const [read, also] = [a.readSync(left) ?? 0, b.readSync(right) ?? 0];
    if (read === 0 && also === 0) return true;
    // Reads of files are short only at their ends.
    if (read !== also) return false;
    for (let i = 0; i < read; i++) if (left[i] !== right[i]) return false;
  }
}

/** Whether a unit that may be somebody else's starts what ours starts: another version of wgd has written it. */
async function isOurUnit({ content, yieldsTo }: InstallFile, path: string): Promise<boolean> {
  if (yieldsTo !== "unit" || content.kind !== "text") return false;
  const start = /^ExecStart=.*$/m.exec(content.text)?.[0];
  const text = await Deno.readTextFile(path).catch(() => "");
  return start !== undefined && text.split("\n").includes(start);
}

/** Where there is another file that this one yields to; undefined if there is none. */
async function findOther({ path, yieldsTo }: InstallFile, root: string): Promise<string | undefined> {
  if (!yieldsTo) return undefined;
  const own = root === "" && yieldsTo === "command" ? (Deno.env.get("PATH") ?? "").split(":") : [];
  const folders = [...FOLDERS[yieldsTo], ...own.filter((folder) => folder !== "")];
  for (const candidate of [path, ...folders.map((folder) => join(folder, basename(path)))]) {
    if (await exists(root + candidate)) return candidate;
  }
  return undefined;
}

function exists(path: string): Promise<boolean> {
  return Deno.lstat(path).then(() => true, () => false);
}

async function makeFolders(path: string, undo: (() => Promise<unknown>)[]): Promise<void> {
  if (await exists(path)) return;
  await makeFolders(dirname(path), undo);
  await Deno.mkdir(path);
  undo.push(() => Deno.remove(path));
  // Whatever the umask is.
  await Deno.chmod(path, 0o755);
}

async function write(path: string, { content }: InstallFile, program: string): Promise<void> {
  if (content.kind === "link") return await Deno.symlink(content.to, path);
  if (content.kind === "program") await Deno.copyFile(program, path);
  else await Deno.writeTextFile(path, content.text, { createNew: true });
  await Deno.chmod(path, content.kind === "program" ? 0o755 : 0o644);
  // On disk before it takes the place of another.
  using file = await Deno.open(path);
  await file.sync();
}

/** Names the file that an error of the system's is about. */
async function explain<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const reason = /^(.*?) \(os error \d+\)/.exec((cause as Error).message)?.[1];
    if (reason === undefined) throw cause;
    const hint = cause instanceof Deno.errors.PermissionDenied && Deno.uid() !== 0
      ? "become root, for example by sudo; or name a folder of yours, as --prefix ~/.local"
      : "--prefix names another folder than /usr/local";
    throw new InstallError(`${path}: ${reason}`, `hint: ${hint}`, { cause });
  }
}
