/**
 * Passes a file's settings for the interface's process, such as `# wgd: Disable = udp-gso`, to that process.
 *
 * @module
 */

import type { Settings } from "../config/settings.ts";

/** Features that `wgd run` does without, separated by commas. */
export const DISABLE_VARIABLE = "WGD_DISABLE";
/** The number of lanes that `wgd run` may have. */
export const LANES_VARIABLE = "WGD_LANES";

/**
 * The environment in which `wgd run` does what a file says. Features that our own environment names are off as well; the
 * number of lanes that it names goes before the file's.
 */
export function processEnvironment({ disable = [], lanes }: Settings): Record<string, string> {
  const own = Deno.env.get(DISABLE_VARIABLE);
  const count = Deno.env.get(LANES_VARIABLE) || lanes;
  return {
    ...disable.length > 0 && { [DISABLE_VARIABLE]: [...disable, ...own ? [own] : []].join() },
    ...count !== undefined && { [LANES_VARIABLE]: `${count}` },
  };
}

/** Whether our own environment asks for something that only a process of wgd's does. */
export function wantsProcess(): boolean {
  return [DISABLE_VARIABLE, LANES_VARIABLE].some((variable) => Deno.env.get(variable));
}
