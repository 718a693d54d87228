/**
 * A changed file, applied to the running interface as the difference: no session ends.
 *
 * @module
 */

import { formatSocketAddress } from "../config/endpoint.ts";
import { formatKey, isZeroKey } from "../config/key.ts";
import { formatPrefix } from "../config/prefix.ts";
import { getDevice, listInterfaces, setDevice } from "../client/client.ts";
import { toChange, toConfig, toDifference } from "../uapi/convert.ts";
import type { DeviceChange, DeviceState, PeerChange, PeerState } from "../uapi/format.ts";
import { namedEndpoints, nameEndpoints, namesOf } from "./endpoint_names.ts";
import { upFacts } from "./facts.ts";
import { findInterface, whereabouts } from "./find_interface.ts";
import { type Journal, openJournal } from "./journal.ts";
import { planReload, type Reload } from "./plan/reload.ts";
import type { Step } from "./plan/step.ts";
import { planUp } from "./plan/up.ts";
import { handOverResolvConf, Restoration } from "./original_resolv_conf.ts";
import { isResolvConf } from "./resolv_conf.ts";
import { type Actions, announceSteps, baseActions, runEveryStep, runSteps } from "./run_steps.ts";
import {
  lookUpEndpoints,
  parseSource,
  QuickError,
  type QuickRunOptions,
  type QuickSource,
  readQuickSource,
  type SourceConfig,
} from "./source.ts";
import { findTarget } from "./target.ts";

/** What a file asks of an interface that runs. */
export interface Difference extends Reload {
  /** The file's part for `wg`. */
  readonly wg: SourceConfig;
  /** Keys and peers. */
  readonly change: DeviceChange;
  /** What would have been done had the file been this one from the start. */
  readonly steps: readonly Step[];
}

/**
 * Makes a running interface what its file says by now: keys, peers, addresses, MTU, DNS, routes, rules. What did not
 * change is not touched; a mark that `up` chose, a key set by a hook and a port that the system chose stay. Hooks are
 * not called.
 *
 * @param target As for `quickUp`.
 * @throws {QuickError} If there is no such interface or a step fails; then all is as it was.
 * @throws {ConfigError} If the file has a line that cannot be used; then nothing was changed.
 */
export async function quickReload(target: string, options: QuickRunOptions = {}): Promise<void> {
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
  const state = await getDevice(name);
  const { wg, change, undo, redo, restore, steps } = await difference(source, journal, state, options);
  const names = namedEndpoints(source, wg, options);
  const text = describeChange(change, state);
  if (options.dryRun) {
    await announceSteps(name, undo, actions);
    for (const line of text) actions.announce(line);
    return await announceSteps(name, redo, actions);
  }
  const forgetsOriginal = undo.some(isResolvConf) && !redo.some(isResolvConf);
  if (journal && forgetsOriginal) await handOverResolvConf(journal);
  // Whatever happens from here on, `down` finds both.
  if (journal) await file.write({ ...journal, steps: [...journal.steps, ...redo], reloading: true });
  const restoration = new Restoration();
  await runEveryStep(name, undo, restoration.watch(actions));
  try {
    restoration.check(file, `wgd quick reload ${target}`);
    for (const line of text) actions.announce(line);
    if (text.length > 0) await setDevice(name, change);
    if (names.size > 0 || namesOf(state).size > 0) {
      await nameEndpoints(name, names, namesOf(await getDevice(name)), actions.announce);
    }
    // Last, since it takes back what it has done should it fail.
    await runSteps(name, redo, actions);
  } catch (error) {
    const old = toChange(toConfig(state), state.peers.map(({ endpoint }) => endpoint), "sync");
    await setDevice(name, toDifference(old, await getDevice(name)));
    await nameEndpoints(name, namesOf(state), new Map());
    await runEveryStep(name, restore, actions);
    if (journal) await file.write(journal);
    throw error;
  }
  if (!journal) return;
  const begin = journal.steps.filter(({ kind }) => kind !== "command" && kind !== "resolv-conf");
  const system = steps.filter(({ kind }) => kind === "command" || kind === "resolv-conf");
  const { reloading: _, ...record } = journal;
  await file.write({
    ...record,
    file: await Deno.realPath(path),
    quick: { ...journal.quick, saveConfig: config.quick.saveConfig },
    steps: [...begin, ...system],
  });
}

/**
 * Finds what a file asks of an interface that runs.
 *
 * @param journal Of the interface's `up`; without one, only keys and peers are compared.
 */
export async function difference(
  source: QuickSource,
  journal: Journal | undefined,
  state: DeviceState,
  options: QuickRunOptions,
): Promise<Difference> {
  const { name, config } = source;
  const wg = await parseSource(source, options, state.privateKey);
  const endpoints = await lookUpEndpoints(wg, source, options);
  const facts = await upFacts(config.quick, wg, endpoints, state.fwmark);
  const replaced = journal?.steps.find((step) => step.kind === "resolv-conf")?.undo;
  if (facts.dns.by === "file" && replaced?.kind === "resolv-conf") {
    // What is there now is ours: what was there before is on record.
    facts.dns = { by: "file", before: replaced.content };
  }
  const automatic = planUp(name, config.quick, wg, facts).find((step) => step.kind === "fwmark");
  const fwmark = automatic ? state.fwmark || automatic.mark : wg.fwmark ?? 0;
  const steps = planUp(name, config.quick, { ...wg, fwmark }, facts);
  const { privateKey, listenPort, ...change } = toDifference(toChange(wg, endpoints, "sync"), state);
  const running = byKey(state);
  const peers = change.replacePeers
    ? change.peers
    : change.peers.filter((peer) => hasEffect(peer, running.get(formatKey(peer.publicKey))));
  return {
    ...planReload(journal?.steps ?? [], journal ? steps : [], !journal?.reloading),
    wg,
    steps,
    change: {
      ...change,
      peers,
      fwmark: journal ? fwmark : wg.fwmark ?? state.fwmark,
      ...(wg.privateKey && privateKey && { privateKey }),
      ...(wg.listenPort !== undefined && listenPort !== undefined && { listenPort }),
    },
  };
}

/** Says what a change does, a line each; no line if it does nothing. */
export function describeChange(change: DeviceChange, state: DeviceState): string[] {
  const lines: string[] = [];
  const set = (what: string) => lines.push(`wg set ${what}`);
  if (change.privateKey && !sameKey(change.privateKey, state.privateKey)) set("private-key (hidden)");
  if (change.listenPort !== undefined && change.listenPort !== state.listenPort) {
    set(`listen-port ${change.listenPort}`);
  }
  if (change.fwmark !== undefined && change.fwmark !== state.fwmark) set(`fwmark ${change.fwmark}`);
  const running = byKey(state);
  if (change.replacePeers) {
    const stays = new Set(change.peers.map(({ publicKey }) => formatKey(publicKey)));
    for (const key of running.keys()) {
      if (!stays.has(key)) set(`peer ${key} remove`);
    }
  }
  for (const { publicKey, remove } of change.peers) {
    const key = formatKey(publicKey);
    set(`peer ${key}${remove ? " remove" : running.has(key) ? " (changed)" : " (new)"}`);
  }
  return lines;
}

function hooks({ preDown, postDown }: Journal["quick"]): string {
  return JSON.stringify([preDown, postDown]);
}

function byKey({ peers }: DeviceState): Map<string, PeerState> {
  return new Map(peers.map((peer) => [formatKey(peer.publicKey), peer]));
}

/** Whether a change of a peer changes anything. */
function hasEffect(peer: PeerChange, running: PeerState | undefined): boolean {
  if (peer.remove || running === undefined) return true;
  return peer.presharedKey !== undefined && !sameKey(peer.presharedKey, running.presharedKey) ||
    peer.endpoint !== undefined &&
      (running.endpoint === undefined ||
        formatSocketAddress(peer.endpoint) !== formatSocketAddress(running.endpoint)) ||
    peer.persistentKeepalive !== undefined && peer.persistentKeepalive !== running.persistentKeepalive ||
    !sameAllowedIps(peer, running);
}

function sameAllowedIps({ replaceAllowedIps, allowedIps }: PeerChange, running: PeerState): boolean {
  if (!replaceAllowedIps) return false;
  const wanted = new Set(allowedIps.map(({ prefix }) => formatPrefix(prefix)));
  return wanted.symmetricDifference(new Set(running.allowedIps.map(formatPrefix))).size === 0;
}

function sameKey(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return b === undefined ? isZeroKey(a) : formatKey(a) === formatKey(b);
}
