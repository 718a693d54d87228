/**
 * Features of the interface's process that a file turns off, `# wgd: Disable = udp-gso`, handed to that process.
 *
 * @module
 */

import type { Feature } from "../config/features.ts";

/** Features that `wgd run` does without, separated by commas. */
export const DISABLE_VARIABLE = "WGD_DISABLE";

/** The environment in which `wgd run` does without these features, and without those that our own environment names. */
export function disableEnvironment(features: readonly Feature[] = []): Record<string, string> {
  const own = Deno.env.get(DISABLE_VARIABLE);
  return features.length === 0 ? {} : { [DISABLE_VARIABLE]: [...features, ...own ? [own] : []].join() };
}
