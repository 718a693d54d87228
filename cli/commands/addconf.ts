/** `wgd addconf`. @module */

import { applyFile } from "../apply_file.ts";

/** Adds to an interface what a file says. */
export function addconf(args: readonly string[]): Promise<number> {
  return applyFile("add", args);
}
