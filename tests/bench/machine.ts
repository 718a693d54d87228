/**
 * What the figures were measured on.
 *
 * @module
 */

import { cpus, release } from "node:os";

/** Instructions on which the ciphers' speed depends, by their names in /proc/cpuinfo. */
const INSTRUCTIONS: Readonly<Record<string, string>> = { avx2: "AVX2", avx512f: "AVX-512" };

/** Processors, what they can do, and the kernel, in one line. */
export async function machine(): Promise<string> {
  const processors = cpus();
  const flags = /^flags\s*: (.*)$/m.exec(await Deno.readTextFile("/proc/cpuinfo"))?.[1]?.split(" ");
  const instructions = flags
    ? Object.entries(INSTRUCTIONS).map(([flag, name]) =>
      `${flags.includes(flag) ? "with" : "without"} ${name}`
    )
    : [Deno.build.arch];
  return `${processors.length} × ${processors[0]!.model.trim()} (${
    instructions.join(", ")
  }), Linux ${release()}`;
}
