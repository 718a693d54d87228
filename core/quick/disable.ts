/**
 * Features of the interface's process that a file switches off: `# wgd: Disable = udp-gso`. It is a comment, so that
 * wg-quick reads the file as well.
 *
 * @module
 */

import { ConfigError } from "../config/parse.ts";
import { type Feature, FeatureError, parseFeatures } from "../config/features.ts";

const LINE = /^[ \t]*#[ \t]*wgd:[ \t]*Disable[ \t]*=(.*)$/i;
const VARIABLE = "WGD_DISABLE";

/**
 * Reads all such lines.
 *
 * @param text Lines of a file, comments among them.
 * @param file Its name, for messages.
 * @param lines For each line its number in the file.
 * @throws {ConfigError} If there is no feature of a name.
 */
export function disabledFeatures(text: string, file: string, lines: readonly number[]): Feature[] {
  return text.split("\n").flatMap((line, index) => {
    const list = LINE.exec(line)?.[1];
    if (list === undefined) return [];
    try {
      return parseFeatures(list);
    } catch (error) {
      if (!(error instanceof FeatureError)) throw error;
      throw new ConfigError(error.message, file, lines[index] ?? 0, "Disable", error.hint);
    }
  });
}

/** The environment in which `wgd run` does without them, and without what our own environment names. */
export function disableEnvironment(features: readonly Feature[]): Record<string, string> {
  const own = Deno.env.get(VARIABLE);
  return features.length === 0 ? {} : { [VARIABLE]: [...features, ...own ? [own] : []].join() };
}
