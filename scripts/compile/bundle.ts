/**
 * Bundles the program as a few minified modules, so that a command loads only what it needs.
 *
 * @module
 */

import { basename, join } from "node:path";
import { buildPage } from "../../core/web/assets/build.ts";
import { BuildError, deno } from "./deno.ts";

/** The main module. */
export const ENTRY = "cli/main.ts";
/** The source of the engine's thread. */
export const WORKER = "core/tunnel/worker.ts";
/** The source of a lane's thread. */
export const LANE = "core/tunnel/lane_worker.ts";
/** The sources of all threads: the engine's, its lanes', and the one that hashes passwords. */
export const WORKERS = [
  WORKER,
  LANE,
  "core/web/sign_in/password_worker.ts",
] as const;

/** The source whose module holds the page. */
const PAGE = "core/web/assets/built.ts";

/** The path of a source's module in the bundle. */
export function module(source: string): string {
  return source.replace(/\.ts$/, ".js");
}

/** Writes the bundle to a folder. */
export async function bundle(folder: string): Promise<void> {
  const options = ["--quiet", "--platform", "deno", "--minify"];
  const others = WORKERS.filter((worker) => worker !== LANE);
  await run(["bundle", ...options, "--code-splitting", "--outdir", folder, ENTRY, ...others, PAGE]);
  // A lane starts while there is much traffic. One module starts faster than several that it shares with other threads.
  await run(["bundle", ...options, "--output", join(folder, module(LANE)), LANE]);
  // The bundler does not change URLs, so those that start workers still name their sources.
  for (const worker of WORKERS) {
    const written = `"./${basename(worker)}"`;
    const replaced = await rewrite(folder, (code) => code.replaceAll(written, `"./${module(worker)}"`));
    if (replaced !== 1) throw new Error(`expected one module to start ${worker}, found ${replaced}`);
  }
  // In the sources that module builds the page. In the bundle it contains the page.
  const files = JSON.stringify(await buildPage());
  await Deno.writeTextFile(
    join(folder, module(PAGE)),
    `const files=${files};export function pageFiles(){return Promise.resolve(files)}`,
  );
}

async function run(words: string[]): Promise<void> {
  const { success, text } = await deno(words);
  if (!success) throw new BuildError(text);
}

/**
 * Hides dynamic imports from Deno. `deno run` loads all modules that it can find in dynamic imports: sixty files for a
 * command that needs six. It cannot find the argument of a function call.
 */
export async function hideImports(folder: string): Promise<void> {
  await rewrite(folder, (code) => code.replaceAll(/\bimport\(("\.[^"]+")\)/g, "import(String($1))"));
}

/** Changes modules. @returns How many were changed. */
async function rewrite(folder: string, change: (code: string) => string): Promise<number> {
  let changed = 0;
  for (const path of (await filesBelow(folder)).filter((path) => path.endsWith(".js"))) {
    const code = await Deno.readTextFile(join(folder, path));
    const after = change(code);
    if (after === code) continue;
    changed++;
    await Deno.writeTextFile(join(folder, path), after);
  }
  return changed;
}

/** Paths of all files below a folder, sorted, so that the same content gives the same archive. */
export async function filesBelow(folder: string, below = ""): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(join(folder, below))) {
    const path = below === "" ? name : `${below}/${name}`;
    if (isDirectory) files.push(...await filesBelow(folder, path));
    else files.push(path);
  }
  return files.sort();
}
