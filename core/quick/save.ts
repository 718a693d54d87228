/**
 * Bringing an interface's file up to date: `wg-quick save`.
 *
 * @module
 */

import { writeDurably } from "../durable_file.ts";
import { getDevice, listInterfaces } from "../uapi/client.ts";
import { toConfig } from "../uapi/convert.ts";
import { interfaceName } from "../uapi/system.ts";
import { linkFacts } from "./facts.ts";
import { savedConfig } from "./saved.ts";
import { QuickError, readQuickSource } from "./source.ts";

/**
 * Edits an interface's file so that it says what the interface has now. Comments, order, names of hosts and peers, and
 * all that is not an interface's state stay as they are.
 *
 * @param target As for `quickUp`.
 * @throws {QuickError} If there is no such WireGuard interface.
 * @throws {ConfigError} If the file has a line that cannot be used.
 */
export async function quickSave(target: string): Promise<void> {
  const { name, path } = await readQuickSource(target);
  if (!(await listInterfaces()).includes(name)) {
    throw new QuickError(
      `\`${name}' is not a WireGuard interface`,
      `bring it up first: wgd quick up ${target}`,
    );
  }
  const live = { ...await linkFacts(name), wg: toConfig(await getDevice(name), interfaceName) };
  const before = await Deno.readTextFile(path);
  const after = savedConfig(before, live);
  if (after !== before) await writeDurably(path, new TextEncoder().encode(after));
}
