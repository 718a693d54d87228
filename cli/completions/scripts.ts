/**
 * What a shell reads to complete wgd's command line.
 *
 * @module
 */

import bash from "./bash.sh" with { type: "text" };
import fish from "./fish.fish" with { type: "text" };
import zsh from "./zsh.zsh" with { type: "text" };

/** The script of each shell, by its name. */
export const completionScripts: ReadonlyMap<string, string> = new Map([
  ["bash", bash],
  ["zsh", zsh],
  ["fish", fish],
]);
