/**
 * The folder in which `wgd quick` keeps its records while interfaces are up.
 *
 * @module
 */

import { QuickError } from "./source.ts";

/** Only root may write to it, because the steps in the records are run as root. */
export const RUN_FOLDER = "/run/wgd";

/** @throws {QuickError} If others can write to a folder. */
export async function refuseShared(folder: string): Promise<void> {
  const { uid, mode, isDirectory } = await Deno.lstat(folder);
  if (isDirectory && uid === Deno.uid() && ((mode ?? 0) & 0o022) === 0) return;
  throw new QuickError(`others can write to ${folder}`, `see who made it, then: rm -r ${folder}`);
}
