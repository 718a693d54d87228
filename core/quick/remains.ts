/**
 * What an interface leaves behind when it ends: the steps on record that are still to be undone, and its process, which
 * needs a moment to clean up.
 *
 * @module
 */

import { endProcess, isAnswered, isRunning, type Process, tunNames } from "../client/process.ts";
import { linkIndex } from "../client/system.ts";
import { socketPath } from "../uapi/socket_path.ts";
import { type Journal, JournalFile, journals } from "./journal.ts";
import { planUndo } from "./plan/down.ts";
import { deletion, type Step } from "./plan/step.ts";
import { isOwned } from "./resolv_conf.ts";
import { type Actions, runEveryStep } from "./run_steps.ts";
import { QuickError } from "./source.ts";

/** Milliseconds for which the control socket is looked at without a pause. */
const BUSY_WAIT = 20;
/** Milliseconds that the process behind a deleted interface may take to remove its socket. */
const END_TIMEOUT = 2_000;
/** Milliseconds that a process may take to make its interface. */
const START_TIMEOUT = 1_500;

/** The steps that undo what is on record. @param end What ends the interface; undefined if it has ended. */
export function stepsLeft({ name, steps, pending, quick, complete }: Journal, end?: Step): Step[] {
  return planUndo(name, [...steps, ...pending ?? []], quick, { complete, end });
}

/** Undoes what an interface left whose process was killed. */
export async function removeRemains(file: JournalFile, journal: Journal, actions: Actions): Promise<void> {
  const { name } = journal;
  actions.warn(`${name} has ended without "wgd quick down"; undoing what is left of it`);
  await handOverResolvConf(journal);
  // If `up` was killed while it made the interface, that may still appear.
  const late = journal.pending?.[0]?.kind === "create" && await appears(name);
  await runEveryStep(name, stepsLeft(journal, late ? deletion(name) : undefined), actions);
  if (late || journal.process) await waitForEnd(name, journal.process);
  await file.remove();
}

/** Waits for an interface that is perhaps being made. */
async function appears(name: string): Promise<boolean> {
  for (let waited = 0; waited < START_TIMEOUT; waited += 20) {
    if (linkIndex(name) !== 0) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}

/**
 * Before an interface brings /etc/resolv.conf back: if another interface replaced the file after this one did, the other
 * one has to bring back what was there before the first.
 */
export async function handOverResolvConf({ name, steps }: Journal): Promise<void> {
  const mine = steps.find((step) => step.kind === "resolv-conf")?.undo;
  if (mine?.kind !== "resolv-conf") return;
  for (const other of await journals()) {
    const index = other.steps.findIndex((step) =>
      step.kind === "resolv-conf" && step.undo?.kind === "resolv-conf" && isOwned(step.undo.content, name)
    );
    if (index < 0) continue;
    using file = await JournalFile.open(other.name);
    const step = other.steps[index] as Step & { kind: "resolv-conf" };
    other.steps[index] = { ...step, undo: { ...mine, owner: other.name } };
    await file?.write(other);
  }
}

/**
 * Waits until the process behind an interface has cleaned up after itself, and does so in place of one that was killed.
 *
 * @param madeAs The name that the interface was made with.
 * @param process Its process, as far as it is known; it is ended if it does not let go of the interface.
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
    // Most need a few milliseconds, and a program's first timer takes Deno twenty.
    if (waited > BUSY_WAIT) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  // A program that uses the library has its interfaces in its own process.
  if (!process || process.pid === Deno.pid) return;
  if (!await endProcess(process)) {
    throw new QuickError(`process ${process.pid} of \`${madeAs}' does not end`, `kill -KILL ${process.pid}`);
  }
  if (!isAnswered(madeAs)) await Deno.remove(socket).catch(() => {});
}
