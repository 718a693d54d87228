/**
 * The completion scripts for shells.
 *
 * @module
 */

import bash from "./bash.sh" with { type: "text" };
import fish from "./fish.fish" with { type: "text" };
import zsh from "./zsh.zsh" with { type: "text" };
import type { SHELLS } from "../grammar.ts";

/** The script of each shell, by its name. */
export const completionScripts: Readonly<Record<keyof typeof SHELLS, string>> = { bash, zsh, fish };
