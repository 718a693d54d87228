/** `wgd syncconf`. @module */

import { applyFile } from "../apply_file.ts";

/** Makes an interface what a file says, without disturbing peers that stay. */
export function syncconf(args: readonly string[]): Promise<number> {
  return applyFile("sync", args);
}
