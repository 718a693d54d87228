/** `wgd genpsk`. @module */

import { formatKey } from "../../core/config/key.ts";
import { generatePresharedKey } from "../../core/keys.ts";
import { programName } from "../program.ts";
import { complain, print } from "../render/output.ts";
import { warnIfWorldAccessible } from "./genkey.ts";

/** Prints a new preshared key. */
export async function genpsk(args: readonly string[]): Promise<number> {
  if (args.length !== 0) {
    complain(`Usage: ${programName()} genpsk`);
    return 1;
  }
  await warnIfWorldAccessible();
  print(`${formatKey(generatePresharedKey())}\n`);
  return 0;
}
