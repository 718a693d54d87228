/**
 * Takes an interface down: `wg-quick down`.
 *
 * @module
 */

import { getDevice, listInterfaces } from "../client/client.ts";
import { linkIndex } from "../client/system.ts";
import { downFacts } from "./facts.ts";
import { nameOf } from "./interface_name.ts";
import { openJournal } from "./journal.ts";
import { planDown } from "./plan/down.ts";
import { handOverResolvConf, removeRemains, stepsLeft, waitForEnd } from "./remains.ts";
import { type Actions, announceSteps, baseActions, runSteps } from "./run_steps.ts";
import { quickSave } from "./save.ts";
import { locate, QuickError, type QuickRunOptions, readQuickSource } from "./source.ts";

/**
 * Takes an interface down as `wg-quick down` does: undoes what `quickUp` has done, and, of an interface that `wg-quick`
 * brought up, what the file says.
 *
 * @example What would be done?
 * ```ts ignore
 * import { quickDown } from "@wgd/wgd";
 *
 * await quickDown("wg0", { announce: console.log, dryRun: true });
 * ```
 *
 * @param target As for `quickUp`; of an interface that `quickUp` brought up, the file need not be there any more.
 * @throws {QuickError} If there is no such WireGuard interface or a step fails.
 */
export async function quickDown(target: string, options: QuickRunOptions = {}): Promise<void> {
  const { name, path } = await locate(target, options.warn).catch((error) => {
    const name = nameOf(target);
    if (!(error instanceof QuickError) || name === undefined) throw error;
    return { name, path: undefined };
  });
  const actions: Actions = {
    ...baseActions(options),
    save: async () => {
      if (path !== undefined) return await quickSave(path);
      options.warn?.(`Warning: not saved: the file of ${name} is gone`);
    },
  };
  using file = await openJournal(name);
  const journal = await file.read();
  const index = linkIndex(name);
  if (journal && index !== 0 && index === journal.index) {
    const steps = stepsLeft(journal, true);
    if (options.dryRun) return await announceSteps(name, steps, actions);
    await handOverResolvConf(journal);
    try {
      return await runSteps(name, steps, actions);
    } finally {
      await waitForEnd(name);
      // Hooks may fail after everything on record has been undone.
      if (linkIndex(name) === 0) await file.remove();
    }
  }
  // Another interface of that name is there: the hooks are for that one.
  const left = journal && index !== 0 ? { ...journal, complete: false } : journal;
  if (left && options.dryRun) await announceSteps(name, stepsLeft(left), actions);
  else if (left) await removeRemains(file, left, actions);
  if (left && index === 0) return;
  const { config } = await readQuickSource(target, () => {});
  if (!(await listInterfaces()).includes(name)) {
    throw new QuickError(`\`${name}' is not a WireGuard interface`);
  }
  const steps = planDown(name, config.quick, await downFacts(name, await getDevice(name)));
  if (options.dryRun) return await announceSteps(name, steps, actions);
  await runSteps(name, steps, actions);
  await waitForEnd(name);
}
