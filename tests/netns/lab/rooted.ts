/**
 * Tests that need root, and some an implementation that may not be had.
 *
 * @module
 */

import { ensurePrograms, PeerUnavailable, PROGRAMS, whyMissing } from "../peers/mod.ts";
import { type Implementation, subject } from "./tunnel.ts";

/** Whether tests that take minutes run too. */
export const FULL = Deno.env.get("WGD_TEST_FULL") === "1";

const isRoot = Deno.uid() === 0;
const programsMissing = isRoot ? await missing(() => ensurePrograms(...PROGRAMS)) : undefined;

/** What a test needs besides root. */
export interface Needs {
  /** Implementations at the other end. */
  readonly peers?: readonly Exclude<Implementation, "wgd">[];
  /** Programs besides those that all tests call. */
  readonly programs?: readonly string[];
  /** It takes minutes. */
  readonly full?: boolean;
}

/**
 * Declares a test that needs root. What is missing, and so why it is ignored, stands in its name.
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
  const reason = await whyNot(needs);
  Deno.test({
    name: reason ? `${name} (ignored: ${reason})` : name,
    ignore: reason !== undefined,
    fn: test,
  });
}

async function whyNot({ peers = [], programs = [], full = false }: Needs): Promise<string | undefined> {
  if (full && !FULL) return "takes minutes, WGD_TEST_FULL=1 runs it";
  if (!isRoot) return "needs root";
  if (programsMissing) return programsMissing;
  const own = subject();
  const all = own === "wgd" ? peers : [...peers, own];
  for (const peer of all) {
    const reason = await whyMissing(peer);
    if (reason) return `no ${peer}: ${reason}`;
  }
  return await missing(() => ensurePrograms(...programs));
}

async function missing(ensure: () => Promise<void>): Promise<string | undefined> {
  try {
    await ensure();
    return undefined;
  } catch (error) {
    if (error instanceof PeerUnavailable) return error.message;
    throw error;
  }
}
