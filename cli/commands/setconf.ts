/** `wgd setconf`. @module */

import { applyFile } from "../apply_file.ts";

/** Replaces an interface's configuration by a file's. */
export function setconf(args: readonly string[]): Promise<number> {
  return applyFile("set", args);
}
