/**
 * Starts and ends the process that repairs an interface, and reports its state.
 *
 * @module
 */

import { endProcess, isRunning } from "../client/process.ts";
import { type Journal, journals, logPath } from "./journal.ts";
import type { QuickRunOptions, QuickSource } from "./source.ts";

/** Milliseconds that the process may take to begin. */
const START_TIMEOUT = 10_000;
/** Bytes of the log that are kept when the process starts. */
const LOG_LIMIT = 65_536;

/** The state of the repair of an interface. */
export interface RepairState {
  /** `on`; `ended` if its process was killed; `gave-up` if another program removed things repeatedly. */
  readonly state: "on" | "ended" | "gave-up";
  /** In a sentence. */
  readonly message: string;
  /** The last repair. */
  readonly last?: Repaired;
}

/** A repair. */
export interface Repaired {
  /** When, as ISO 8601 in UTC. */
  readonly at: string;
  /** A sentence for each difference. */
  readonly outcomes: readonly string[];
}

/** The state of an interface's repair; undefined if its file does not turn it on. */
export function repairState({ repair }: Journal): RepairState | undefined {
  if (!repair) return undefined;
  const { last, gaveUp } = repair;
  const [state, message] = gaveUp !== undefined
    ? ["gave-up", `Repair gave up: ${gaveUp}`] as const
    : isRunning(repair)
    ? ["on", "Repair is on"] as const
    : ["ended", "Repair has ended: its process was killed"] as const;
  return { state, message, ...(last && { last }) };
}

/**
 * The announcement of what a reload does about the repair of an interface: it starts or ends the process if the file
 * has turned repair on or off since it was last applied.
 */
export function describeRepairChange(
  { name, config: { settings } }: QuickSource,
  { repair }: Journal,
): string[] {
  if (settings.repair && !repair) return [`wgd quick watch ${name}`];
  return !settings.repair && repair && isRunning(repair) ? [`kill ${repair.pid}`] : [];
}

/** Starts the process, and waits until it watches. A running process is kept. */
export async function startRepair(
  name: string,
  { watcher = ["wgd", "quick", "watch"], warn = () => {} }: QuickRunOptions,
): Promise<void> {
  if (await isRepaired(name)) return;
  const log = logPath(name);
  // A shell is used, because Deno cannot redirect the output of a program to a file.
  const child = new Deno.Command("sh", {
    args: ["-c", 'umask 077; exec "$@" 2>> "$0"', log, ...watcher, name],
    stdin: "null",
    stdout: "null",
    stderr: "null",
    detached: true,
  }).spawn();
  child.unref();
  let ended = false;
  child.status.then(() => ended = true);
  const start = performance.now();
  while (!ended && performance.now() - start < START_TIMEOUT) {
    if (await isRepaired(name)) return await shorten(log);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  warn(
    `Warning: the process that repairs ${name} did not start\nhint: see ${log}; then: wgd quick reload ${name}`,
  );
}

/** Ends the process. The caller has locked the record, so that no repair is interrupted. */
export async function endRepair({ repair }: Journal): Promise<void> {
  if (repair) await endProcess(repair);
}

async function isRepaired(name: string): Promise<boolean> {
  const repair = (await journals()).find((journal) => journal.name === name)?.repair;
  return repair !== undefined && repair.gaveUp === undefined && isRunning(repair);
}

/** The process appends to it, so that it may be emptied at any time. */
async function shorten(log: string): Promise<void> {
  const size = await Deno.stat(log).then(({ size }) => size, () => 0);
  if (size > LOG_LIMIT) await Deno.truncate(log, 0);
}
