/**
 * The environment of hooks: the interface, its file, and `wg`, `wg-quick` and `wgd` even if only wgd is installed.
 *
 * @module
 */

import { linkDurably, writeDurably } from "../durable_file.ts";
import { refuseShared, RUN_FOLDER } from "./run_folder.ts";

/** Links to wgd. They come last in PATH, so the machine's own `wg` is found first. */
const TOOLS_FOLDER = `${RUN_FOLDER}/bin`;
const TOOLS = ["wg", "wg-quick", "wgd"];

/** Where a shell looks for programs if PATH is not set (bash's DEFAULT_PATH_VALUE). */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The interface that hooks belong to. */
export interface HookSubject {
  /** The interface. */
  readonly name: string;
  /** Its file, as an absolute path. */
  readonly file: string;
}

/**
 * The environment of hooks. As in wg-quick, they see `$INTERFACE` and `$CONFIG_FILE`. Here the programs that they start
 * see them as well.
 *
 * @param self The command line of wgd; without one, hooks find only the machine's own programs.
 * @throws {QuickError} If others can write to the folder of the links.
 * @throws {FileError} If the links cannot be made.
 */
export async function hookEnvironment(
  { name, file }: HookSubject,
  self: readonly string[] | undefined,
): Promise<Record<string, string>> {
  const environment = { INTERFACE: name, CONFIG_FILE: file };
  if (self === undefined) return environment;
  await makeTools(self);
  return { ...environment, PATH: `${Deno.env.get("PATH") || DEFAULT_PATH}:${TOOLS_FOLDER}` };
}

async function makeTools(self: readonly string[]): Promise<void> {
  await Deno.mkdir(TOOLS_FOLDER, { recursive: true, mode: 0o700 });
  await refuseShared(TOOLS_FOLDER);
  for (const tool of TOOLS) {
    const path = `${TOOLS_FOLDER}/${tool}`;
    if (self.length === 1) await link(path, self[0]!);
    else {await writeDurably(path, new TextEncoder().encode(script(tool, self)), {
        replaceLink: true,
        mode: 0o700,
      });}
  }
}

/** Makes links to the executable, which acts as the tool that a link is named after. */
async function link(path: string, program: string): Promise<void> {
  const target = await Deno.realPath(program);
  if (await Deno.readLink(path).catch(() => undefined) !== target) linkDurably(path, target);
}

/** Writes scripts that run wgd from its source as that tool. */
function script(tool: string, self: readonly string[]): string {
  const words = self.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  return `#!/bin/sh\nWGD_ARGV0=${tool} exec ${words} "$@"\n`;
}
