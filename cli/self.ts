/**
 * How to run this very program once more.
 *
 * @module
 */

import { V8_FLAGS } from "../core/v8_flags.ts";

/** A command line and what to add to its environment. */
export interface SelfCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** The command that starts this program; arguments of its own go behind `args`. */
export function selfCommand(): SelfCommand {
  const program = installableProgram();
  if (program !== undefined) {
    return { command: program, args: [], env: Deno.build.standalone ? {} : { WGD_AS: "wgd" } };
  }
  return {
    command: Deno.execPath(),
    args: ["run", "--allow-all", "--quiet", `--v8-flags=${V8_FLAGS}`, Deno.mainModule],
    env: {},
  };
}

/** The one file that is this program; undefined if it runs from its source. */
export function installableProgram(): string | undefined {
  // The launcher of a self-extracting wgd says where it is: what runs is a Deno that it unpacked.
  return Deno.env.get("WGD_SELF") || (Deno.build.standalone ? Deno.execPath() : undefined);
}
