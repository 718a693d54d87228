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
  // The launcher of a self-extracting wgd says where it is: what runs is a Deno that it unpacked.
  const launcher = Deno.env.get("WGD_SELF");
  if (launcher) return { command: launcher, args: [], env: { WGD_AS: "wgd" } };
  if (Deno.build.standalone) return { command: Deno.execPath(), args: [], env: {} };
  return {
    command: Deno.execPath(),
    args: ["run", "--allow-all", "--quiet", `--v8-flags=${V8_FLAGS}`, Deno.mainModule],
    env: {},
  };
}
