/**
 * A changed file, applied to the running interface as the difference: no session ends.
 *
 * @module
 */

import { formatKey } from "../config/key.ts";
import { getDevice, listInterfaces, setDevice } from "../client/client.ts";
import { toChange, toConfig, toDifference } from "../uapi/convert.ts";
import type { DeviceState } from "../uapi/format.ts";
import { compare } from "./comparison.ts";
import { describeName, nameEndpoints, tellAddresses } from "./endpoint_names.ts";
import { findInterface, whereabouts } from "./find_interface.ts";
import { type Journal, openJournal } from "./journal.ts";
import { handOverResolvConf, Restoration } from "./original_resolv_conf.ts";
import type { WgChange } from "./plan/wg_change.ts";
import { endRepair, startRepair } from "./repair.ts";
import { isResolvConf } from "./resolv_conf.ts";
import { type Actions, announceSteps, baseActions, runEveryStep, runSteps } from "./run_steps.ts";
import { QuickError, type QuickRunOptions, readQuickSource } from "./source.ts";
import { findTarget } from "./target.ts";

/**
 * Makes a running interface what its file says by now: keys, peers, addresses, MTU, DNS, routes, rules. What the file
 * said when it was last applied and no longer says is taken back; what it never said, such as a preshared key set by a
 * hook or a peer that an operator has added, stays. Hooks are not called.
 *
 * @param target As for `quickUp`.
 * @throws {QuickError} If there is no such interface or a step fails; then all is as it was.
 * @throws {ConfigError} If the file has a line that cannot be used; then nothing was changed.
 */
export async function quickReload(target: string, options: QuickRunOptions = {}): Promise<void> {
  const repaired = await reload(target, options);
  if (repaired !== undefined) await startRepair(repaired, options);
}

/** @returns The name of the interface if it is to be repaired from here on. */
async function reload(target: string, options: QuickRunOptions): Promise<string | undefined> {
  const { name, path = target } = await findTarget(target, options);
  const source = await readQuickSource(path, { interfaceName: name });
  const { config } = source;
  if (!(await listInterfaces()).includes(name)) {
    throw new QuickError(
      `\`${name}' is not a WireGuard interface`,
      `bring it up first: wgd quick up ${target}`,
    );
  }
  const actions: Actions = baseActions(options);
  using file = await openJournal(name);
  let journal = await file.read();
  const found = journal && await findInterface(journal);
  const where = found && whereabouts(found, name);
  if (!found || where !== undefined) journal = undefined;
  if (where !== undefined) {
    options.warn?.(
      `${name} is not where "wgd quick up" made it (${where}): only its keys and peers follow the file`,
    );
  } else if (!journal) {
    options.warn?.(`${name} was not brought up by "wgd quick up": only its keys and peers follow the file`);
  } else if (hooks(config.quick) !== hooks(journal.quick)) {
    options.warn?.("hooks have changed; they are used from the next up on");
  }
  const { backend = "auto" } = config.settings;
  if (journal && backend !== "auto" && backend !== (journal.backend ?? "wgd")) {
    options.warn?.("the backend has changed; it is used from the next up on");
  }
  const state = await getDevice(name);
  const { config: peers, applied, wg, steps, system } = await compare(source, journal, state, options);
  if (state.privateKey && !applied.privateKey && journal?.remembered?.applied.at(-1)?.privateKey) {
    options.warn?.("the file has no PrivateKey any more; the interface keeps its key until it goes down");
  }
  if (options.dryRun) {
    await announceSteps(name, system.undo, actions);
    for (const line of describeWgChange(name, wg)) actions.announce(line);
    await announceSteps(name, system.redo, actions);
    return undefined;
  }
  const forgetsOriginal = system.undo.some(isResolvConf) && !system.redo.some(isResolvConf);
  if (journal && forgetsOriginal) await handOverResolvConf(journal);
  // Whatever happens from here on, `down` and the next reload find both.
  if (journal) {
    await file.write({
      ...journal,
      steps: [...journal.steps, ...system.redo],
      reloading: true,
      ...(journal.remembered && {
        remembered: { ...journal.remembered, applied: [...journal.remembered.applied, applied] },
      }),
    });
  }
  const restoration = new Restoration();
  await runEveryStep(name, system.undo, restoration.watch(actions));
  try {
    restoration.check(file, `wgd quick reload ${target}`);
    for (const line of wg.lines) actions.announce(`wg set ${name} ${line}`);
    if (wg.lines.length > 0) await setDevice(name, wg.change);
    await nameEndpoints(name, wg.names, actions.announce);
    const moved = wg.change.peers.filter(({ endpoint }) => endpoint);
    await tellAddresses(source, peers, options, new Set(moved.map(({ publicKey }) => formatKey(publicKey))));
    // Last, since it takes back what it has done should it fail.
    await runSteps(name, system.redo, actions);
  } catch (error) {
    await restore(name, state, wg);
    await runEveryStep(name, system.restore, actions);
    if (journal) await file.write(journal);
    throw error;
  }
  if (!journal) return undefined;
  const begin = journal.steps.filter(({ kind }) => kind !== "command" && kind !== "resolv-conf");
  const rest = steps.filter(({ kind }) => kind === "command" || kind === "resolv-conf");
  const { reloading: _, repair, ...record } = journal;
  const repaired = config.settings.repair ?? false;
  if (!repaired) await endRepair(journal);
  // One that gave up begins anew.
  const keeps = repaired && repair && repair.gaveUp === undefined;
  const { left, overruled } = journal.remembered ?? {};
  await file.write({
    ...record,
    ...(keeps && { repair }),
    file: await Deno.realPath(path),
    quick: { ...journal.quick, saveConfig: config.quick.saveConfig },
    steps: [...begin, ...rest],
    remembered: {
      applied: [applied],
      ...(left && { left }),
      ...(overruled && { overruled }),
      automaticMtu: config.quick.mtu === undefined,
    },
  });
  return repaired ? name : undefined;
}

/** Makes keys and peers what they were before a change. */
async function restore(name: string, before: DeviceState, { names }: WgChange): Promise<void> {
  const change = toChange(toConfig(before), before.peers.map(({ endpoint }) => endpoint), "sync");
  await setDevice(name, toDifference(change, await getDevice(name)));
  const old = before.peers.flatMap(({ publicKey, endpointName = "" }) => {
    const key = formatKey(publicKey);
    return names.has(key) ? [[key, endpointName] as const] : [];
  });
  await nameEndpoints(name, new Map(old));
}

/** A change of WireGuard's part as it is announced. */
export function describeWgChange(name: string, { lines, names }: WgChange): string[] {
  return [
    ...lines.map((line) => `wg set ${name} ${line}`),
    ...[...names].map(([key, endpointName]) => describeName(name, key, endpointName)),
  ];
}

function hooks({ preDown, postDown }: Journal["quick"]): string {
  return JSON.stringify([preDown, postDown]);
}
