/**
 * Test cases for a connection between the kernel's TCP and ours. `tcp_test.ts` runs each case in a separate host:
 *
 *     cases.ts NAME
 *
 * @module
 */

import { must } from "../exec.ts";
import { BOTH_ENDS } from "./both_ends.ts";
import { RESETS } from "./resets.ts";
import { SEGMENTS } from "./segments.ts";
import { SILENCE } from "./silence.ts";
import type { Cases } from "./steps.ts";
import { TcpWire } from "./wire.ts";

/** All cases by name. */
export const CASES: Cases = { ...RESETS, ...SILENCE, ...BOTH_ENDS, ...SEGMENTS };

if (import.meta.main) {
  const { sysctl = {}, wire: options, run } = CASES[Deno.args[0]!]!;
  for (const [name, value] of Object.entries(sysctl)) await must(["sysctl", "-qw", `${name}=${value}`]);
  await using wire = await TcpWire.open(options);
  try {
    await run(wire);
  } catch (error) {
    // Before the wire is removed, which would cause other errors.
    console.error(error);
    Deno.exit(1);
  }
}
