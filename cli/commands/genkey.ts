/** `wgd genkey`. @module */

import { formatKey } from "../../core/config/key.ts";
import { generatePrivateKey } from "../../core/keys.ts";
import { programName } from "../program.ts";
import { complain, print } from "../render/output.ts";

/** Prints a new private key. */
export async function genkey(args: readonly string[]): Promise<number> {
  if (args.length !== 0) {
    complain(`Usage: ${programName()} genkey`);
    return 1;
  }
  await warnIfWorldAccessible();
  print(`${formatKey(generatePrivateKey())}\n`);
  return 0;
}

/** Warns if standard output is a file that everybody can read. */
export async function warnIfWorldAccessible(): Promise<void> {
  const OTHERS = 0o007;
  const { isFile, mode } = await standardOutput();
  if (!isFile || !((mode ?? 0) & OTHERS)) return;
  complain("Warning: writing to world accessible file.");
  complain("Consider setting the umask to 077 and trying again.");
}

/** Deno has no fstat for standard output; its entry in /proc refers to the same file. */
async function standardOutput(): Promise<Pick<Deno.FileInfo, "isFile" | "mode">> {
  try {
    return await Deno.stat("/proc/self/fd/1");
  } catch {
    return { isFile: false, mode: null };
  }
}
