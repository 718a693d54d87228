/**
 * The record of what `up` did, which is kept in /run while the interface exists. `down` undoes it, even after a crash
 * or if the file has changed since.
 *
 * A step is recorded before it is done, so no step is ever done without a record.
 *
 * @module
 */

import { removeAside, writeDurably } from "../durable_file.ts";
import type { InterfaceBackend } from "../config/backend.ts";
import type { QuickOptions } from "../config/quick_config.ts";
import { namespaceOf } from "../client/network_namespace.ts";
import { isRunning, type Process } from "../client/process.ts";
import type { Applied } from "./plan/applied.ts";
import type { Step } from "./plan/step.ts";
import type { Repaired } from "./repair.ts";
import { refuseShared, RUN_FOLDER } from "./run_folder.ts";
import { QuickError } from "./source.ts";

const FILE_SUFFIX = ".json";
/** Milliseconds that a repair of the interface may take. */
const REPAIR_TIMEOUT = 10_000;

/** The record of one interface. */
export interface Journal {
  /** Its name. */
  readonly name: string;
  /** The file that brought it up, as an absolute path. */
  readonly file: string;
  /** The time of `up`, as ISO 8601 in UTC. */
  readonly since: string;
  /** The kernel's number of the interface. No later interface with that name has this number. 0 before it is made. */
  index: number;
  /** The process that runs it; absent before it is made, for kernel interfaces, and in records of wgd 0.1. */
  process?: Process;
  /** The backend; absent before it is made, and in records of wgd 0.1, which had only processes. */
  backend?: Exclude<InterfaceBackend, "other">;
  /** Whether `up` finished. */
  complete: boolean;
  /** The settings of the file at `up` that `down` needs. */
  readonly quick: Pick<QuickOptions, "preDown" | "postDown" | "saveConfig">;
  /** Finished steps, in order. */
  steps: Step[];
  /** The steps that were begun last, until they are done. */
  pending?: readonly Step[];
  /** The process that repairs the interface, if one was started. It stays in the record when it ends by itself. */
  readonly repair?: Repair;
  /** Set during a `reload`. Then it is unknown which of the steps are in effect. */
  readonly reloading?: boolean;
  /**
   * The settings of the file when it was last applied; absent in records of earlier versions, and until `up` has ended.
   */
  readonly remembered?: Remembered;
}

/** The process that repairs an interface. */
export interface Repair extends Process {
  /** Its last repair. */
  readonly last?: Repaired;
  /** The reason why it gave up. */
  readonly gaveUp?: string;
}

/** What a reload needs to know about the file at the last `up` or reload, and about its hooks. */
export interface Remembered {
  /** The file's WireGuard settings. During a reload, those before and after it. */
  readonly applied: readonly Applied[];
  /** The part of them that the file's own hooks did not change at `up`; absent if they changed nothing. */
  readonly left?: Applied;
  /** What the hooks removed or changed after the steps, by `SystemDifference.key`. */
  readonly overruled?: readonly string[];
  /** Whether wgd chose the MTU, because the file does not. */
  readonly automaticMtu: boolean;
}

/** An interface's record, locked, so that no other process can change it. */
export class JournalFile implements Disposable {
  readonly #lock: Deno.FsFile;

  private constructor(readonly path: string, lock: Deno.FsFile) {
    this.#lock = lock;
  }

  /**
   * Opens the record of an interface.
   *
   * @returns Nothing if another process has locked the record of that interface.
   * @throws {QuickError} If others can write to the folder.
   */
  static async open(name: string): Promise<JournalFile | undefined> {
    await Deno.mkdir(RUN_FOLDER, { recursive: true, mode: 0o700 });
    await refuseShared(RUN_FOLDER);
    const path = `${RUN_FOLDER}/${name}${namespaceSuffix()}`;
    const lock = await Deno.open(`${path}.lock`, { create: true, write: true, mode: 0o600 });
    if (!await lock.tryLock(true)) {
      lock.close();
      return undefined;
    }
    removeAside(`${path}${FILE_SUFFIX}`);
    return new JournalFile(`${path}${FILE_SUFFIX}`, lock);
  }

  /** Reads the record; undefined if there is none. */
  read(): Promise<Journal | undefined> {
    return readJournal(this.path);
  }

  /** Replaces the record. */
  async write(journal: Journal): Promise<void> {
    await writeDurably(this.path, new TextEncoder().encode(JSON.stringify(journal)));
  }

  /** Deletes the record. */
  async remove(): Promise<void> {
    await Deno.remove(this.path).catch(() => {});
    await Deno.remove(this.path.slice(0, -FILE_SUFFIX.length) + ".log").catch(() => {});
  }

  /** Releases the lock. */
  [Symbol.dispose](): void {
    this.#lock.close();
  }
}

/**
 * Opens the record of an interface, for one process at a time. Waits for a repair that is in progress.
 *
 * @throws {QuickError} If another process has locked it.
 */
export async function openJournal(name: string): Promise<JournalFile> {
  const start = performance.now();
  for (;;) {
    const file = await JournalFile.open(name);
    if (file) return file;
    const repair = (await readJournal(`${RUN_FOLDER}/${name}${namespaceSuffix()}${FILE_SUFFIX}`))?.repair;
    if (!repair || !isRunning(repair) || performance.now() - start > REPAIR_TIMEOUT) break;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new QuickError(
    `another "wgd quick" is working on \`${name}'`,
    "wait until it ends; if a hook calls wgd quick for its own interface, remove that call",
  );
}

/** The log of the process that repairs an interface. */
export function logPath(name: string): string {
  return `${RUN_FOLDER}/${name}${namespaceSuffix()}.log`;
}

/** Whether there is a record of an interface in a network namespace, by its inode number. */
export async function isRecorded(name: string, namespace: number): Promise<boolean> {
  const path = `${RUN_FOLDER}/${name}${namespaceSuffix(namespace)}${FILE_SUFFIX}`;
  return await Deno.lstat(path).then(() => true, () => false);
}

/** The records of all interfaces of this network namespace. */
export async function journals(): Promise<Journal[]> {
  const ending = `${namespaceSuffix()}${FILE_SUFFIX}`;
  const found: Journal[] = [];
  try {
    for await (const { name } of Deno.readDir(RUN_FOLDER)) {
      const journal = name.endsWith(ending) ? await readJournal(`${RUN_FOLDER}/${name}`) : undefined;
      if (journal) found.push(journal);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return found.sort((a, b) => a.name < b.name ? -1 : 1);
}

async function readJournal(path: string): Promise<Journal | undefined> {
  try {
    const journal: unknown = JSON.parse(await Deno.readTextFile(path));
    const pending: unknown = Object(journal).pending;
    // Records of earlier versions have one step here.
    if (pending && !Array.isArray(pending)) Object(journal).pending = [pending];
    if (isJournal(journal)) return journal;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new QuickError(
    `${path} is not what "wgd quick up" has written`,
    `if you do not need it: rm ${path}; "down" then uses the configuration file and does not restore /etc/resolv.conf`,
  );
}

/** Whether a record is valid. A disk may be damaged, or another program may have written the file. */
function isJournal(value: unknown): value is Journal {
  const { name, file, index, process, backend, steps, pending, quick, repair } = Object(value) as Partial<
    Journal
  >;
  return typeof name === "string" && typeof file === "string" && typeof index === "number" &&
    (backend === undefined || backend === "kernel" || backend === "wgd") &&
    isAbsentOr(isProcess, process) && isAbsentOr(isProcess, repair) && isSteps(steps) &&
    isAbsentOr(isSteps, pending) &&
    isTexts(quick?.preDown) && isTexts(quick?.postDown);
}

function isProcess(value: unknown): value is Process {
  const { pid, startTime } = Object(value) as Partial<Process>;
  return typeof pid === "number" && typeof startTime === "number";
}

function isStep(value: unknown): value is Step {
  const step = Object(value) as Step;
  switch (step.kind) {
    case "command":
      return isTexts(step.command) && step.command.length > 0 && isAbsentOr(isText, step.input) &&
        isAbsentOr(isStep, step.undo) && isAbsentOr(isStep, step.revert);
    case "hook":
      return isText(step.script);
    case "create":
      return isStep(step.undo);
    case "fwmark":
      return typeof step.mark === "number";
    case "resolv-conf": {
      const content = step.content as Readonly<Record<string, unknown>> | null | undefined;
      return (content === null || isText(content?.link) || isText(content?.text)) &&
        isAbsentOr(isText, step.owner) && isAbsentOr(isStep, step.undo);
    }
    case "configure":
    case "save":
      return true;
    default:
      return false;
  }
}

function isSteps(value: unknown): value is Step[] {
  return Array.isArray(value) && value.every(isStep);
}

function isAbsentOr(is: (value: unknown) => boolean, value: unknown): boolean {
  return value === undefined || is(value);
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(isText);
}

/** The folder of this network namespace, because /run belongs to the whole machine, but interfaces to a namespace. */
function namespaceSuffix(namespace: number = namespaceOf()!): string {
  return `@${namespace}`;
}
