/**
 * Takes an interface down: `wg-quick down`.
 *
 * @module
 */

import { getDevice } from "../client/devices.ts";
import { listInterfaces } from "../client/listing.ts";
import { namespaceOf } from "../client/network_namespace.ts";
import { endProcess } from "../client/process.ts";
import { linkIndex } from "../client/system.ts";
import { downFacts } from "./facts.ts";
import { ending, findInterface, findUnrecorded, type FoundInterface, whereabouts } from "./find_interface.ts";
import { hookEnvironment } from "./hook_environment.ts";
import { isRecorded, type Journal, type JournalFile, openJournal } from "./journal.ts";
import { planDown } from "./plan/down.ts";
import type { Step } from "./plan/step.ts";
import { handOverResolvConf, Restoration } from "./original_resolv_conf.ts";
import { endRepair } from "./repair.ts";
import { isUnfinished, removeRemains, stepsLeft, waitForEnd } from "./remains.ts";
import { type Actions, announceSteps, baseActions, runSteps, StepError } from "./run_steps.ts";
import { saveFile } from "./save.ts";
import { QuickError, type QuickRunOptions, readQuickSource } from "./source.ts";
import { findTarget } from "./target.ts";

/**
 * Takes an interface down as `wg-quick down` does. If `quickUp` brought it up, this undoes what `quickUp` did. If
 * `wg-quick` brought it up, this undoes the settings of the file.
 *
 * @example What would be done?
 * ```ts ignore
 * import { quickDown } from "@wgd/wgd";
 *
 * await quickDown("wg0", { announce: console.log, dryRun: true });
 * ```
 *
 * @param target As for `quickUp`. If `quickUp` brought the interface up, its file may have been deleted since.
 * @throws {QuickError} If there is no such WireGuard interface or a step fails.
 */
export async function quickDown(target: string, options: QuickRunOptions = {}): Promise<void> {
  const { name, path } = await findTarget(target, options);
  const actions: Actions = {
    ...baseActions(options),
    force: options.force ?? false,
    save: async () => {
      if (path === undefined) options.warn?.(`Warning: not saved: the file of ${name} is gone`);
      else await saveFile(path, { interfaceName: name });
    },
    hookEnvironment: async () =>
      await hookEnvironment(
        { name, file: journal?.file ?? await Deno.realPath(path ?? target) },
        options.self,
      ),
  };
  using file = await openJournal(name);
  const journal = await file.read();
  const found = journal && await findInterface(journal);
  if (journal && found) return await undoRecorded(file, journal, found, actions, options);
  // If there is another interface of that name, the hooks would affect that one. An interface that was being made is
  // not another one.
  const another = linkIndex(name) !== 0 && !(journal && isUnfinished(journal));
  const left = journal && another ? { ...journal, complete: false } : journal;
  if (left && options.dryRun) await announceSteps(name, stepsLeft(left), actions);
  else if (left) await removeRemains(file, left, actions);
  if (left && !another && !(await listInterfaces()).includes(name)) return;
  await undoByFile(name, path ?? target, actions, options);
}

/** Undoes the record of a running interface. */
async function undoRecorded(
  file: JournalFile,
  journal: Journal,
  found: FoundInterface,
  actions: Actions,
  { dryRun }: QuickRunOptions,
): Promise<void> {
  const { name } = journal;
  const steps = stepsLeft(journal, ending(found));
  if (dryRun) return await announceSteps(name, steps, actions);
  await handOverResolvConf(journal);
  const restoration = new Restoration();
  const save = found.elsewhere && !found.process
    ? () => Promise.resolve(actions.warn(`Warning: not saved: ${whereabouts(found, name)}`))
    : actions.save;
  const watched = { ...restoration.watch(actions), ...(save && { save }), end: () => endFound(found) };
  try {
    await runSteps(name, steps, watched);
  } catch (error) {
    // Hooks may fail after all recorded steps have been undone.
    if (await findInterface(journal)) throw withForce(error, steps, name);
    await endRepair(journal);
    throw await restoration.finish(file, journal) ?? error;
  }
  await waitForEnd(name, found.process, found.name);
  await endRepair(journal);
  const error = await restoration.finish(file, journal);
  if (error) throw error;
}

/** Undoes what `wg-quick up` would have done with this file. */
async function undoByFile(
  name: string,
  target: string,
  actions: Actions,
  { dryRun }: QuickRunOptions,
): Promise<void> {
  const { config } = await readQuickSource(target, { interfaceName: name });
  const found = (await listInterfaces()).includes(name) ? await findUnrecorded(name) : undefined;
  if (!found) throw new QuickError(`\`${name}' is not a WireGuard interface`);
  await refuseRecordedElsewhere(name, found);
  const steps = planDown(name, config.quick, await downFacts(name, await getDevice(name)), ending(found));
  if (dryRun) return await announceSteps(name, steps, actions);
  try {
    await runSteps(name, steps, { ...actions, end: () => endFound(found) });
  } catch (error) {
    throw linkIndex(found.name) === 0 ? error : withForce(error, steps, name);
  }
  await waitForEnd(name, found.process, found.name);
}

/**
 * Adds a hint that explains how to continue without a hook or without saving the file. No other step can be skipped.
 */
function withForce(error: unknown, steps: readonly Step[], name: string): unknown {
  const how = `the interface is still up; to continue anyway: wgd quick down ${name} --force`;
  if (error instanceof StepError) {
    const { step, code, hint, missing } = error;
    if (!steps.some((planned) => planned.kind === "hook" && planned.script === step)) {
      return error;
    }
    return new StepError(step, code, hint === undefined ? how : `${hint}; ${how}`, missing);
  }
  if (!(error instanceof QuickError)) return error;
  const { message, hint, cause } = error;
  return new QuickError(message, hint === undefined ? how : `${hint}; ${how}`, { cause });
}

/** An interface's rules and its record are in the network namespace where it was brought up. */
async function refuseRecordedElsewhere(name: string, { process }: FoundInterface): Promise<void> {
  const namespace = process && namespaceOf(process.pid);
  if (namespace === undefined || namespace === namespaceOf() || !await isRecorded(name, namespace)) return;
  throw new QuickError(
    `\`${name}' was brought up in another network namespace`,
    `take it down there: nsenter --net=/proc/${process!.pid}/ns/net wgd quick down ${name}`,
  );
}

/** Ends an interface by its process. */
async function endFound({ process, socket }: FoundInterface): Promise<void> {
  if (socket !== undefined) await Deno.remove(socket);
  // If it does not end, `waitForEnd` reports it.
  else if (process) await endProcess(process);
}
