/**
 * Makes the executable with `deno compile`.
 *
 * @module
 */

import { join } from "node:path";
import { programFlags } from "../../core/v8_flags.ts";
import { bundle, ENTRY, module, WORKERS } from "./bundle.ts";
import { BuildError, deno, PERMISSIONS } from "./deno.ts";
import type { Target } from "./target.ts";

/**
 * Calls `deno compile`. It needs Deno's runtime for compiled programs, denort: that of `DENORT_BIN`, a `denort` beside
 * Deno, the one in Deno's cache, or a download from Deno's own site.
 *
 * It compiles the bundle and not the sources. With the sources it would include all npm packages in deno.json, 70 MB of
 * which the program needs 0.1.
 *
 * @returns Undefined if it has made the file; else why the runtime is not available.
 * @throws {BuildError} For any other error, which must not be hidden by using the other way.
 */
export async function compileNatively(target: Target, output: string): Promise<string | undefined> {
  const folder = await Deno.makeTempDir({ prefix: "wgd-compile-" });
  try {
    await bundle(folder);
    const { success, text } = await deno([
      "compile",
      "--quiet",
      "--no-check",
      "--no-config",
      "--no-lock",
      ...PERMISSIONS,
      `--v8-flags=${programFlags(target.arch)}`,
      `--target=${target.triple}`,
      ...WORKERS.map((worker) => `--include=${join(folder, module(worker))}`),
      `--output=${output}`,
      join(folder, module(ENTRY)),
    ]);
    if (success) return undefined;
    // The one of Deno's listed causes that names the runtime.
    const reason = /^.*denort.*$/m.exec(text)?.[0];
    if (reason === undefined) throw new BuildError(text);
    return reason.trim().replace(/^\d+: /, "");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
