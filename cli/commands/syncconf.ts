/** `wgd syncconf`. @module */

import { applyFile } from "../apply_file.ts";

/** Updates an interface to a file's configuration. Unchanged peers keep their sessions. */
export function syncconf(args: readonly string[]): Promise<number> {
  return applyFile("sync", args);
}
