/**
 * Cleans up after an interface that has ended: undoes the steps on record, and waits for its process, which needs a
 * moment to clean up.
 *
 * @module
 */

import {
  endProcess,
  interfaceProcess,
  isAnswered,
  isRunning,
  type Process,
  tunNames,
} from "../client/process.ts";
import { linkIndex } from "../client/system.ts";
import { socketPath } from "../uapi/socket_path.ts";
import type { Journal, JournalFile } from "./journal.ts";
import { handOverResolvConf, Restoration } from "./original_resolv_conf.ts";
import { planUndo } from "./plan/down.ts";
import { deletion, type Step } from "./plan/step.ts";
import { endRepair } from "./repair.ts";
import { type Actions, runEveryStep } from "./run_steps.ts";
import { QuickError } from "./source.ts";

/** Milliseconds for which the control socket is polled without a pause. */
const BUSY_WAIT = 20;
/** Milliseconds that the process behind a deleted interface may take to remove its socket. */
const END_TIMEOUT = 2_000;
/** Milliseconds that a process may take to make its interface. */
const START_TIMEOUT = 1_500;

/** The steps that undo the recorded steps. @param end The step that ends the interface; undefined if it has ended. */
export function stepsLeft({ name, steps, pending, quick, complete }: Journal, end?: Step): Step[] {
  return planUndo(name, [...steps, ...pending ?? []], quick, { complete, end });
}

/**
 * Cleans up after an interface whose process was killed.
 *
 * @throws {QuickError} If /etc/resolv.conf cannot be restored; everything else has been undone.
 */
export async function removeRemains(file: JournalFile, journal: Journal, actions: Actions): Promise<void> {
  const { name } = journal;
  actions.warn(`${name} has ended without "wgd quick down"; undoing what is left of it`);
  await endRepair(journal);
  await handOverResolvConf(journal);
  const late = isUnfinished(journal) && await appears(name);
  const process = journal.process ?? (late ? interfaceProcess(name) : undefined);
  const restoration = new Restoration();
  const steps = stepsLeft(journal, late ? deletion(name) : undefined);
  await runEveryStep(name, steps, restoration.watch(actions));
  if (late || process) await waitForEnd(name, process);
  const error = await restoration.finish(file, journal);
  if (error) throw error;
}

/** Whether `up` was killed while it made the interface, which may exist or appear later. */
export function isUnfinished({ pending }: Journal): boolean {
  return pending?.[0]?.kind === "create";
}

/** Waits for an interface that is possibly being made. */
async function appears(name: string): Promise<boolean> {
  for (let waited = 0; waited < START_TIMEOUT; waited += 20) {
    if (linkIndex(name) !== 0) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}

/**
 * Waits until an interface's process has cleaned up. If the process was killed, this cleans up in its place.
 *
 * @param madeAs The name that the interface was made with.
 * @param process Its process, if known; it is killed if it does not release the interface.
 * @param name The name of the interface when it was last seen.
 * @throws {QuickError} If the process does not end.
 */
export async function waitForEnd(madeAs: string, process?: Process, name: string = madeAs): Promise<void> {
  const socket = socketPath(madeAs);
  const holds = () =>
    process !== undefined && isRunning(process) && (tunNames(process)?.includes(name) ?? true);
  const start = performance.now();
  for (let waited = 0; waited < END_TIMEOUT; waited = performance.now() - start) {
    if (!await Deno.lstat(socket).catch(() => null) && !holds()) return;
    if (process && !isRunning(process)) break;
    // Most need a few milliseconds, but a program's first timer takes twenty in Deno.
    if (waited > BUSY_WAIT) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  // A program that uses the library has its interfaces in its own process.
  if (!process || process.pid === Deno.pid) return;
  if (!await endProcess(process)) {
    throw new QuickError(`process ${process.pid} of \`${madeAs}' does not end`, `kill -KILL ${process.pid}`);
  }
  if (!isAnswered(madeAs)) await Deno.remove(socket).catch(() => {});
}
