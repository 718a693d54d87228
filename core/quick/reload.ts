/**
 * Applies a changed file to the running interface. Only differences are changed, and no session ends.
 *
 * @module
 */

import { formatKey } from "../config/key.ts";
import { diagnoseDevice, getDevice, setDevice } from "../client/devices.ts";
import { listInterfaces } from "../client/listing.ts";
import { toChange, toConfig, toDifference } from "../uapi/convert.ts";
import type { DeviceState } from "../uapi/get.ts";
import { compare, type Comparison } from "./comparison.ts";
import { describeName, nameEndpoints, tellAddresses } from "./endpoint_names.ts";
import { findInterface, whereabouts } from "./find_interface.ts";
import { type Journal, type JournalFile, openJournal } from "./journal.ts";
import { handOverResolvConf, Restoration } from "./original_resolv_conf.ts";
import type { Step } from "./plan/step.ts";
import type { WgChange } from "./plan/wg_change.ts";
import { describeRepairChange, endRepair, startRepair } from "./repair.ts";
import { isResolvConf } from "./resolv_conf.ts";
import { type Actions, announceSteps, baseActions, runEveryStep, runSteps } from "./run_steps.ts";
import { QuickError, type QuickRunOptions, type QuickSource, readQuickSource } from "./source.ts";
import { findTarget } from "./target.ts";

/**
 * Applies a changed file to a running interface: keys, peers, addresses, MTU, DNS, routes, rules. Settings that were
 * removed from the file since it was last applied are undone. Settings that were never in the file stay, such as a
 * preshared key set by a hook or a peer that an operator added. Hooks are not called.
 *
 * @param target As for `quickUp`.
 * @throws {QuickError} If there is no such interface or a step fails. Then everything is restored.
 * @throws {ConfigError} If the file has an invalid line. Then nothing was changed.
 */
export async function quickReload(target: string, options: QuickRunOptions = {}): Promise<void> {
  const repaired = await reload(target, options);
  if (repaired !== undefined) await startRepair(repaired, options);
}

/** @returns The name of the interface if its repair process must be running now. */
async function reload(target: string, options: QuickRunOptions): Promise<string | undefined> {
  const { name, path = target } = await findTarget(target, options);
  const source = await readQuickSource(path, { interfaceName: name });
  if (!(await listInterfaces()).includes(name)) {
    throw new QuickError(
      `\`${name}' is not a WireGuard interface`,
      `bring it up first: wgd quick up ${target}`,
    );
  }
  using file = await openJournal(name);
  const recorded = await file.read();
  const found = recorded && await findInterface(recorded);
  const where = found && whereabouts(found, name);
  // Addresses and routes can be changed only where and as `up` made the interface.
  const journal = found && where === undefined ? recorded : undefined;
  for (const text of reloadWarnings(source, journal, where)) options.warn?.(text);
  const { state: before, backend } = await diagnoseDevice(name);
  // The kernel cannot look host names up again, so it gets none.
  if (backend === "kernel") options = { ...options, resolveEndpoints: false };
  const comparison = await compare(source, journal, before, options);
  const { privateKey } = journal?.remembered?.applied.at(-1) ?? {};
  if (before.privateKey && !comparison.applied.privateKey && privateKey) {
    options.warn?.("the file no longer has a PrivateKey; the interface keeps its key until it goes down");
  }
  const work: Work = { target, source, journal, before, comparison, options, actions: baseActions(options) };
  if (options.dryRun) {
    await announce(work);
    return undefined;
  }
  await begin(file, work);
  await makeChanges(file, work);
  return await finish(file, path, work);
}

/** One reload. */
interface Work {
  /** The word with which the user named the interface. */
  readonly target: string;
  readonly source: QuickSource;
  /** The record of the interface; undefined if only keys and peers can be changed. */
  readonly journal: Journal | undefined;
  /** The interface before the reload. */
  readonly before: DeviceState;
  readonly comparison: Comparison;
  readonly options: QuickRunOptions;
  readonly actions: Actions;
}

/** Warns of changes that a reload does not make. @param where The interface's place, if it was moved or renamed. */
function* reloadWarnings(
  { name, config }: QuickSource,
  journal: Journal | undefined,
  where: string | undefined,
): Generator<string> {
  if (where !== undefined) {
    yield `${name} is not where "wgd quick up" made it (${where}): only its keys and peers follow the file`;
  } else if (!journal) {
    yield `${name} was not brought up by "wgd quick up": only its keys and peers follow the file`;
  } else if (hooks(config.quick) !== hooks(journal.quick)) {
    yield "the hooks have changed; the next up uses the new ones";
  }
  const { backend = "auto" } = config.settings;
  if (journal && backend !== "auto" && backend !== (journal.backend ?? "wgd")) {
    yield "the backend has changed; the next up uses the new one";
  }
}

async function announce({ source, journal, comparison: { wg, system }, actions }: Work): Promise<void> {
  await announceSteps(source.name, system.undo, actions);
  for (const line of describeWgChange(source.name, wg)) actions.announce(line);
  await announceSteps(source.name, system.redo, actions);
  if (journal) { for (const line of describeRepairChange(source, journal)) actions.announce(line); }
}

/** Records the next steps, so that `down` and the next reload can undo them in any case. */
async function begin(file: JournalFile, { journal, comparison: { system, applied } }: Work): Promise<void> {
  if (!journal) return;
  const forgetsOriginal = system.undo.some(isResolvConf) && !system.redo.some(isResolvConf);
  if (forgetsOriginal) await handOverResolvConf(journal);
  const { remembered } = journal;
  await file.write({
    ...journal,
    steps: [...journal.steps, ...system.redo],
    reloading: true,
    ...(remembered && { remembered: { ...remembered, applied: [...remembered.applied, applied] } }),
  });
}

/** Changes the interface and the system. If a step fails, everything is restored. */
async function makeChanges(
  file: JournalFile,
  { target, source, journal, before, comparison: { wg, system, config }, options, actions }: Work,
): Promise<void> {
  const { name } = source;
  const restoration = new Restoration();
  await runEveryStep(name, system.undo, restoration.watch(actions));
  try {
    restoration.check(file, `wgd quick reload ${target}`);
    for (const line of wg.lines) actions.announce(`wg set ${name} ${line}`);
    if (wg.lines.length > 0) await setDevice(name, wg.change);
    await nameEndpoints(name, wg.names, actions.announce);
    const moved = wg.change.peers.filter(({ endpoint }) => endpoint);
    await tellAddresses(source, config, options, new Set(moved.map(({ publicKey }) => formatKey(publicKey))));
    // This is last, because it undoes its own steps if it fails.
    await runSteps(name, system.redo, actions);
  } catch (error) {
    await restore(name, before, wg);
    await runEveryStep(name, system.restore, actions);
    if (journal) await file.write(journal);
    throw error;
  }
}

/** Records the result. @returns The name of the interface if its repair process must be running now. */
async function finish(
  file: JournalFile,
  path: string,
  { source: { name, config }, journal, comparison: { applied, steps } }: Work,
): Promise<string | undefined> {
  if (!journal) return undefined;
  const made = journal.steps.filter((step) => !isReplaced(step));
  const { reloading: _, repair, ...record } = journal;
  const repaired = config.settings.repair ?? false;
  if (!repaired) await endRepair(journal);
  // A process that gave up is replaced.
  const keeps = repaired && repair && repair.gaveUp === undefined;
  const { left, overruled } = journal.remembered ?? {};
  await file.write({
    ...record,
    ...(keeps && { repair }),
    file: await Deno.realPath(path),
    quick: { ...journal.quick, saveConfig: config.quick.saveConfig },
    steps: [...made, ...steps.filter(isReplaced)],
    remembered: {
      applied: [applied],
      ...(left && { left }),
      ...(overruled && { overruled }),
      automaticMtu: config.quick.mtu === undefined,
    },
  });
  return repaired ? name : undefined;
}

/** Whether a reload runs steps of this kind. Others, such as making the interface, are left out. */
function isReplaced({ kind }: Step): boolean {
  return kind === "command" || kind === "resolv-conf";
}

/** Restores keys and peers to what they were before a change. */
async function restore(name: string, before: DeviceState, { names }: WgChange): Promise<void> {
  const change = toChange(toConfig(before), before.peers.map(({ endpoint }) => endpoint), "sync");
  await setDevice(name, toDifference(change, await getDevice(name)));
  const old = before.peers.flatMap(({ publicKey, endpointName = "" }) => {
    const key = formatKey(publicKey);
    return names.has(key) ? [[key, endpointName] as const] : [];
  });
  await nameEndpoints(name, new Map(old));
}

/** The announcement of a change of WireGuard settings. */
export function describeWgChange(name: string, { lines, names }: WgChange): string[] {
  return [
    ...lines.map((line) => `wg set ${name} ${line}`),
    ...[...names].map(([key, endpointName]) => describeName(name, key, endpointName)),
  ];
}

function hooks({ preDown, postDown }: Journal["quick"]): string {
  return JSON.stringify([preDown, postDown]);
}
