/**
 * Passes a file's settings for the interface's process, such as `# wgd: Disable = udp-gso`, to that process.
 *
 * @module
 */

import { DISABLE_VARIABLE, type Feature, parseFeaturesOf } from "../config/features.ts";
import { type LaneCount, LANES_VARIABLE, parseLanesOf } from "../config/lanes.ts";
import type { Settings } from "../config/settings.ts";

/**
 * The environment that passes a file's settings to `wgd run`. Features in our own environment are also turned off. The
 * number of lanes in our own environment takes precedence over the file.
 */
export function processEnvironment({ disable = [], lanes }: Settings): Record<string, string> {
  const own = Deno.env.get(DISABLE_VARIABLE);
  const count = Deno.env.get(LANES_VARIABLE) || lanes;
  return {
    ...disable.length > 0 && { [DISABLE_VARIABLE]: [...disable, ...own ? [own] : []].join() },
    ...count !== undefined && { [LANES_VARIABLE]: `${count}` },
  };
}

/**
 * The same settings for an interface of this process.
 *
 * @throws {FeatureError} If those of our own environment are invalid.
 */
export function ownProcess({ disable = [], lanes }: Settings): { disable: Feature[]; lanes?: LaneCount } {
  const off = parseFeaturesOf(DISABLE_VARIABLE, Deno.env.get(DISABLE_VARIABLE) ?? "");
  const text = Deno.env.get(LANES_VARIABLE);
  const count = text ? parseLanesOf(LANES_VARIABLE, text) : lanes;
  return { disable: [...disable, ...off], ...count !== undefined && { lanes: count } };
}

/** Whether our own environment requests something that only a wgd process supports. */
export function wantsProcess(): boolean {
  return [DISABLE_VARIABLE, LANES_VARIABLE].some((variable) => Deno.env.get(variable));
}
