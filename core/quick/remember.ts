/**
 * What is kept with the record of `up` for later reloads.
 *
 * @module
 */

import type { WgConfig } from "../config/wg_config.ts";
import { getDevice } from "../client/client.ts";
import { type DeviceState, UapiError } from "../uapi/format.ts";
import type { EndpointNames } from "./endpoint_names.ts";
import type { Journal, Remembered } from "./journal.ts";
import { hashSecrets } from "./key_hash.ts";
import { findDifferences } from "./plan/differences.ts";
import { appliedBy, leftByHooks } from "./plan/applied.ts";
import { markOf } from "./plan/on_record.ts";
import { readSystem } from "./system_state.ts";
import type { QuickSource } from "./source.ts";

/** Finds what is to be remembered of a file right after `up`.  */
export async function remember(
  { name, config: { quick } }: QuickSource,
  wg: WgConfig,
  names: EndpointNames,
  { index, steps }: Journal,
): Promise<Remembered> {
  // Only hooks change what the file set; and not every WireGuard takes names of endpoints.
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

/** What an interface has; nothing if a hook has renamed or ended it. */
async function deviceState(name: string): Promise<DeviceState | undefined> {
  try {
    return await getDevice(name);
  } catch (error) {
    if (!(error instanceof UapiError)) throw error;
    return undefined;
  }
}
