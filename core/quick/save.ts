/**
 * Writes an interface's state to its file: `wg-quick save`.
 *
 * @module
 */

import { parseQuickConfig } from "../config/quick_config.ts";
import { ConfigFile } from "../locked_config_file.ts";
import { FileError } from "../file_error.ts";
import { getDevice } from "../client/devices.ts";
import { listInterfaces } from "../client/listing.ts";
import { toConfig } from "../uapi/convert.ts";
import type { DeviceState } from "../uapi/get.ts";
import { interfaceName } from "../client/system.ts";
import { linkFacts } from "./facts.ts";
import { findUnrecorded } from "./find_interface.ts";
import { rememberSaved } from "./remember.ts";
import { savedConfig } from "./saved.ts";
import { findFile, QuickError, type QuickRunOptions } from "./source.ts";
import { findTarget } from "./target.ts";

/**
 * Edits an interface's file so that it matches the interface. Comments, order, names of hosts and peers, and everything
 * else that is not the interface's state do not change.
 *
 * @param target As for `quickUp`.
 * @throws {QuickError} If there is no such WireGuard interface, or the file cannot be written. The file has not changed
 * then.
 * @throws {FileError} If the file cannot be read.
 * @throws {ConfigError} If the file has an invalid line.
 */
export async function quickSave(
  target: string,
  options: Pick<QuickRunOptions, "interfaceName"> = {},
): Promise<void> {
  const saved = await saveFile(target, options);
  if (saved) await rememberSaved(saved.name, saved.path, saved.state);
}

/** `quickSave` without the record, which `down` has locked. @returns What was saved; undefined if nothing differed. */
export async function saveFile(
  target: string,
  options: Pick<QuickRunOptions, "interfaceName"> = {},
): Promise<{ name: string; path: string; state: DeviceState } | undefined> {
  const { name, path = await findFile(target) } = await findTarget(target, options);
  using file = await ConfigFile.open(path);
  // A file with errors is not changed.
  parseQuickConfig(file.text, { file: path });
  const found = (await listInterfaces()).includes(name) ? await findUnrecorded(name) : undefined;
  if (!found) {
    throw new QuickError(
      `\`${name}' is not a WireGuard interface`,
      `bring it up first: wgd quick up ${target}`,
    );
  }
  // Addresses in another network namespace cannot be seen from here.
  const link = found.elsewhere === undefined ? await linkFacts(found.name) : undefined;
  const state = await getDevice(name);
  const live = { ...link, wg: toConfig(state, interfaceName) };
  const after = savedConfig(file.text, live);
  if (after === file.text) return undefined;
  await file.write(after).catch((cause) => {
    if (!(cause instanceof FileError)) throw cause;
    throw new QuickError(
      "Could not write configuration file",
      `${path}: ${cause.reason}; the file is as it was`,
      { cause },
    );
  });
  return { name, path, state };
}
