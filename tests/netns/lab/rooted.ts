/**
 * Tests that need root, and some of them an implementation that may not be available.
 *
 * @module
 */

import { type Skip, testUnless } from "../../skip.ts";
import { PACKAGED, type Peers, PROGRAMS, whyNoPeer, whyNoPrograms } from "../peers/mod.ts";
import { subject } from "./tunnel.ts";

/** Whether tests that take minutes run too. */
export const FULL = Deno.env.get("WGD_TEST_FULL") === "1";

const isRoot = Deno.uid() === 0;
// All programs that any test calls, so that none is forgotten. If one is not available, the tests that need it are
// skipped.
if (isRoot) await whyNoPrograms(...PACKAGED);
const programsMissing = isRoot ? await whyNoPrograms(...PROGRAMS) : undefined;

/** What a test needs besides root. */
export interface Needs {
  /** Implementations at the other end, and what else is fetched. */
  readonly peers?: readonly (keyof Peers)[];
  /** Programs without which it cannot run. */
  readonly programs?: readonly string[];
  /** It takes minutes. */
  readonly full?: boolean;
}

/**
 * Declares a test that needs root. If something is missing, the test is ignored, and its name contains the reason.
 *
 * @param name The rule that it checks.
 * @param needs What else it needs.
 * @param test The test.
 */
export async function rootTest(
  name: string,
  needs: Needs,
  test: (context: Deno.TestContext) => Promise<void>,
): Promise<void> {
  testUnless(name, await whySkipped(needs), test);
}

async function whySkipped({ peers = [], programs = [], full = false }: Needs): Promise<Skip | undefined> {
  if (full && !FULL) return { leftOut: "takes minutes, WGD_TEST_FULL=1 runs it" };
  if (!isRoot) return "needs root";
  if (programsMissing) return programsMissing;
  const own = subject();
  for (const peer of own === "wgd" ? peers : [...peers, own]) {
    const reason = await whyNoPeer(peer);
    if (reason) return `no ${peer}: ${reason}`;
  }
  return await whyNoPrograms(...programs);
}
