/** `wgd doctor`. @module */

import { parseArgs } from "node:util";
import { parseAddress } from "../../core/config/address.ts";
import { diagnose } from "../../core/doctor/diagnose.ts";
import { doctorFacts } from "../../core/doctor/facts.ts";
import { reportUapiError } from "../failure.ts";
import { DOCTOR_OPTIONS } from "../grammar.ts";
import { programName, shortName } from "../program.ts";
import { chooseColors } from "../render/colors.ts";
import { complain, print } from "../render/output.ts";

/** Reports the problems of an interface and how to fix them. */
export async function doctor(args: string[]): Promise<number> {
  let parsed;
  try {
    parsed = parseArgs({ args, allowPositionals: true, options: DOCTOR_OPTIONS });
  } catch (error) {
    return usage((error as Error).message);
  }
  const { positionals: [name, target, ...more], values: { json } } = parsed;
  if (name === undefined || more.length > 0) return usage();
  if (target !== undefined && parseAddress(target) === null) return usage(`not an address: "${target}"`);
  let facts;
  try {
    facts = await doctorFacts(name, target);
  } catch (error) {
    return reportUapiError("Unable to access interface", error, name);
  }
  const findings = [...diagnose(facts)];
  if (json) {
    print(`${JSON.stringify({ interface: name, findings }, undefined, 2)}\n`);
  } else {
    const { red, green, yellow, reset } = chooseColors();
    const color = { ok: green, warn: yellow, fail: red };
    for (const { level, message, advice } of findings) {
      print(`${color[level]}${level.padEnd(4)}${reset}  ${message}\n${advice ? `      → ${advice}\n` : ""}`);
    }
  }
  return findings.some(({ level }) => level === "fail") ? 1 : 0;
}

function usage(problem?: string): number {
  if (problem !== undefined) complain(`${shortName()}: ${problem}`);
  complain(`Usage: ${programName()} doctor <interface> [<address>] [--json]`);
  return 1;
}
