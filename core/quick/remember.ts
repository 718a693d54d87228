/**
 * What the record of `up` stores for later reloads: the settings of the file, and what its hooks changed.
 *
 * @module
 */

import { formatKey, type Key } from "../config/key.ts";
import { formatPrefix, type Prefix } from "../config/prefix.ts";
import type { WgConfig } from "../config/wg_config.ts";
import { getDevice } from "../client/devices.ts";
import type { DeviceState } from "../uapi/get.ts";
import { UapiError } from "../uapi/lines.ts";
import { type EndpointNames, namedEndpoints } from "./endpoint_names.ts";
import { findInterface } from "./find_interface.ts";
import { type Journal, journals, openJournal, type Remembered } from "./journal.ts";
import { hashOf, hashSecrets } from "./key_hash.ts";
import { findDifferences } from "./plan/differences.ts";
import { type Applied, appliedBy, type AppliedPeer, leftByHooks } from "./plan/applied.ts";
import { markOf } from "./plan/on_record.ts";
import { readSystem } from "./system_state.ts";
import { parseSource, QuickError, type QuickSource, readQuickSource } from "./source.ts";

/** Finds what to store right after `up`. */
export async function remember(
  { name, config: { quick } }: QuickSource,
  wg: WgConfig,
  names: EndpointNames,
  { index, steps }: Journal,
): Promise<Remembered> {
  // Only hooks change what the file set, but not every implementation supports names of endpoints.
  const asked = quick.preUp.length > 0 || quick.postUp.length > 0 || names.size > 0;
  const state = asked ? await deviceState(name) : undefined;
  const hash = await hashSecrets(wg, ...state ? [state] : []);
  const applied = appliedBy(wg, markOf(steps) ?? wg.fwmark, names, hash);
  const left = state && leftByHooks(applied, state, hash);
  const differences = quick.postUp.length > 0 ? findDifferences(steps, await readSystem(index, steps)) : [];
  const overruled = differences.map(({ key }) => key);
  return {
    applied: [applied],
    ...(left && { left }),
    ...(overruled.length > 0 && { overruled }),
    automaticMtu: quick.mtu === undefined,
  };
}

/** A peer that a program adds to a file and to the running interface. */
export interface GivenPeer {
  readonly publicKey: Key;
  readonly presharedKey?: Key;
  readonly allowedIps: readonly Prefix[];
}

/**
 * Records a peer that is being added to an interface and to its file. Without the record, a reload would keep the peer
 * after it is removed from the file, as it keeps a peer that an operator added to the interface alone.
 *
 * @param path The interface's file. If another file brought the interface up, nothing is done.
 * @returns A function that removes the peer from the record again.
 * @throws {QuickError} If another process has locked the record of the interface.
 */
export async function rememberPeer(
  name: string,
  path: string,
  peer: GivenPeer,
): Promise<() => Promise<void>> {
  const key = formatKey(peer.publicKey);
  const applied: AppliedPeer = {
    ...(peer.presharedKey && { presharedKey: await hashOf(peer.presharedKey) }),
    allowedIps: peer.allowedIps.map(formatPrefix),
  };
  await changeRemembered(name, path, ({ left, ...remembered }) => {
    const add = (side: Applied) => ({ ...side, peers: { ...side.peers, [key]: applied } });
    return { ...remembered, applied: remembered.applied.map(add), ...(left && { left: add(left) }) };
  });
  return () =>
    changeRemembered(name, path, ({ left, ...remembered }) => {
      const remove = ({ peers: { [key]: _, ...peers }, ...side }: Applied) => ({ ...side, peers });
      return { ...remembered, applied: remembered.applied.map(remove), ...(left && { left: remove(left) }) };
    });
}

/**
 * Records the settings of a file that was just saved from its interface. Without the record, a reload would keep a
 * saved value after it is removed from the file.
 */
export async function rememberSaved(name: string, path: string, running: DeviceState): Promise<void> {
  const source = await readQuickSource(path, { interfaceName: name });
  const config = await parseSource(source, {}, running.privateKey);
  const hash = await hashSecrets(config, running);
  const named = running.peers.filter(({ endpointName }) => endpointName !== undefined);
  const known = new Set(named.map(({ publicKey }) => formatKey(publicKey)));
  const names = new Map([...namedEndpoints(source, config, {})].filter(([key]) => known.has(key)));
  const change = ({ automaticMtu, overruled, applied }: Remembered) => ({
    applied: [appliedBy(config, config.fwmark ?? applied.at(-1)?.fwmark, names, hash)],
    ...(overruled && { overruled }),
    automaticMtu,
  });
  await changeRemembered(name, path, change).catch((error) => {
    // A hook of `down` saves the file. The record will be deleted with the interface.
    if (!(error instanceof QuickError)) throw error;
  });
}

/** Changes the record of an interface, if this file brought it up and it has not ended. */
async function changeRemembered(
  name: string,
  path: string,
  change: (remembered: Remembered) => Remembered,
): Promise<void> {
  const isRecorded = (journal?: Journal) => journal?.name === name && journal.remembered !== undefined;
  if (!(await journals()).some(isRecorded)) return;
  using file = await openJournal(name);
  const journal = await file.read();
  if (!journal?.remembered || journal.file !== await Deno.realPath(path) || !await findInterface(journal)) {
    return;
  }
  await file.write({ ...journal, remembered: change(journal.remembered) });
}

/** The settings of an interface; nothing if a hook has renamed or ended it. */
async function deviceState(name: string): Promise<DeviceState | undefined> {
  try {
    return await getDevice(name);
  } catch (error) {
    if (!(error instanceof UapiError)) throw error;
    return undefined;
  }
}
