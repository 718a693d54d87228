/** `wgd addconf`. @module */

import { applyFile } from "../apply_file.ts";

/** Adds a file's configuration to an interface. */
export function addconf(args: readonly string[]): Promise<number> {
  return applyFile("add", args);
}
