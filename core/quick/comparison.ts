/**
 * Compares a file with a running interface.
 *
 * @module
 */

import type { SocketAddress } from "../config/endpoint.ts";
import { formatKey } from "../config/key.ts";
import type { WgConfig } from "../config/wg_config.ts";
import type { DeviceState } from "../uapi/get.ts";
import { namedEndpoints } from "./endpoint_names.ts";
import { upFacts } from "./facts.ts";
import type { Journal } from "./journal.ts";
import { hashSecrets } from "./key_hash.ts";
import { type Difference, findDifferences, type SystemDifference } from "./plan/differences.ts";
import { type Applied, appliedBy } from "./plan/applied.ts";
import { factsOnRecord, markOf, mtuOf } from "./plan/on_record.ts";
import type { Addresses } from "./plan/peer_changes.ts";
import { planReload, type Reload } from "./plan/reload.ts";
import { freeTable, needsMark } from "./plan/routes.ts";
import type { Sides } from "./plan/sides.ts";
import { type Step, stepText } from "./plan/step.ts";
import { planUp } from "./plan/up.ts";
import { endpointsToLookUp, type WgChange, wgChange } from "./plan/wg_change.ts";
import { readSystem } from "./system_state.ts";
import {
  lookUpEndpoints,
  parseSource,
  type QuickRunOptions,
  type QuickSource,
  type SourceConfig,
} from "./source.ts";

/** The difference between a file and an interface. */
export interface Comparison {
  /** The WireGuard configuration in the file. */
  readonly config: SourceConfig;
  /** The WireGuard settings of the file. */
  readonly applied: Applied;
  /** The changes of WireGuard settings. */
  readonly wg: WgChange;
  /** The steps of an `up` by this file. */
  readonly steps: readonly Step[];
  /** The changes of the system. */
  readonly system: Reload;
  /** The differences that other programs have made. */
  readonly differences: readonly Difference[];
}

/**
 * Compares a file with a running interface.
 *
 * @param journal The record of the interface's `up`; without one, only keys and peers are compared.
 */
export async function compare(
  source: QuickSource,
  journal: Journal | undefined,
  state: DeviceState,
  options: QuickRunOptions,
): Promise<Comparison> {
  const config = await parseSource(source, options, state.privateKey);
  const { applied: before = [], left } = journal?.remembered ?? {};
  const hash = await hashSecrets(config, state);
  const wanted = appliedBy(config, config.fwmark, namedEndpoints(source, config, options), hash);
  const sides: Sides = { config, wanted, before, left, running: state, hash };
  const addresses = await lookUp(endpointsToLookUp(sides), source, config, options);
  if (!journal) {
    const wg = wgChange(sides, addresses);
    return { config, applied: wanted, wg, steps: [], system: planReload([], []), differences: [] };
  }
  const { fwmark, steps } = await planAgain(source, config, journal, sides, addresses);
  const applied = fwmark === undefined ? wanted : { ...wanted, fwmark };
  const wg = wgChange({ ...sides, wanted: applied }, addresses);
  const missing = await systemDifferences(journal, steps);
  return {
    config,
    applied,
    wg,
    steps,
    system: planReload(journal.steps, steps, !journal.reloading, missing),
    differences: [
      ...missing,
      ...wg.differences.map((message) => ({ kind: "wireguard" as const, message, exposes: false })),
    ],
  };
}

/**
 * Finds what other programs removed or changed after `up` or the last reload. Changes by the file's own hooks do not
 * count.
 *
 * @param wanted The steps that should be in effect; by default all.
 */
export async function systemDifferences(
  { index, steps, remembered }: Journal,
  wanted: readonly Step[] = steps,
): Promise<SystemDifference[]> {
  const texts = new Set(wanted.map(stepText));
  const stay = steps.filter((step) => texts.has(stepText(step)));
  const overruled = new Set(remembered?.overruled);
  const differences = findDifferences(stay, await readSystem(index, stay));
  return differences.filter(({ key }) => !overruled.has(key));
}

/** Looks up the endpoints of some peers. */
async function lookUp(
  keys: ReadonlySet<string>,
  source: QuickSource,
  config: WgConfig,
  options: QuickRunOptions,
): Promise<Map<string, SocketAddress>> {
  const peers = config.peers.filter(({ publicKey }) => keys.has(formatKey(publicKey)));
  const endpoints = await lookUpEndpoints(peers, source, options, config.peers.length - peers.length);
  return new Map(
    peers.flatMap(({ publicKey }, index) => {
      const endpoint = endpoints[index];
      return endpoint ? [[formatKey(publicKey), endpoint] as const] : [];
    }),
  );
}

/** Plans `up` of a file, with the recorded choices: values that the file does not set stay as `up` chose them. */
async function planAgain(
  { name, config: { quick } }: QuickSource,
  config: WgConfig,
  { steps: done, remembered }: Journal,
  { wanted, before, running }: Sides,
  addresses: Addresses,
): Promise<{ fwmark: number | undefined; steps: Step[] }> {
  const automaticMtu = remembered?.automaticMtu && sameEndpoints(wanted, before);
  const mtu = quick.mtu ?? (automaticMtu ? mtuOf(done) : undefined);
  const asked = mtu === undefined ? quick : { ...quick, mtu };
  const endpoints = new Map([
    ...running.peers.map(({ publicKey, endpoint }) => [formatKey(publicKey), endpoint] as const),
    ...addresses,
  ]);
  const now = await upFacts(asked, config, [...endpoints.values()], running.fwmark);
  const facts = factsOnRecord(name, asked, config, now, done);
  const recorded = before.at(-1)?.fwmark || markOf(done) || running.fwmark;
  const fwmark = needsMark(quick, config) ? recorded || freeTable(facts) : config.fwmark;
  return { fwmark, steps: planUp(name, asked, { ...config, fwmark: fwmark ?? 0 }, facts) };
}

function sameEndpoints(wanted: Applied, before: readonly Applied[]): boolean {
  const list = ({ peers }: Applied) => Object.values(peers).map(({ endpoint }) => endpoint).sort().join();
  return before.every((applied) => list(applied) === list(wanted));
}
