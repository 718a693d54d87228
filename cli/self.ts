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

/** Tells an interface's process that somebody waits for its ready byte. */
export const READY_VARIABLE = "WGD_READY";

/**
 * Starts an interface's process. Deno cannot fork, so it is one of its own, and writes a byte when it is ready.
 *
 * @param more For its environment.
 * @returns 0 when the interface can be used, else an exit code; the process has said why.
 */
export async function startInBackground(
  name: string,
  more: Readonly<Record<string, string>> = {},
): Promise<number> {
  const { command, args, env } = selfCommand();
  const child = new Deno.Command(command, {
    args: [...args, "run", "--foreground", name],
    env: { ...env, ...more, [READY_VARIABLE]: "1" },
    stdin: "null",
    stdout: "piped",
    detached: true,
  }).spawn();
  const { value } = await child.stdout.getReader().read();
  if (value !== undefined) return 0;
  const { code } = await child.status;
  return code === 0 ? 1 : code;
}
