/** `wgd setconf`. @module */

import { applyFile } from "../apply_file.ts";

/** Makes an interface what a file says. */
export function setconf(args: readonly string[]): Promise<number> {
  return applyFile("set", args);
}
