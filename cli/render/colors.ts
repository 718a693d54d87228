/**
 * `wg`'s colours, and whether to use them.
 *
 * @module
 */

/** Escape sequences, or nothing in their place. */
export interface Colors {
  readonly reset: string;
  readonly bold: string;
  readonly red: string;
  readonly green: string;
  readonly yellow: string;
  readonly cyan: string;
}

/** For a terminal (terminal.h). */
export const COLORED: Colors = {
  reset: "\x1b[0m",
  bold: "\x1b[1m",
  red: "\x1b[31m",
  green: "\x1b[32m",
  yellow: "\x1b[33m",
  cyan: "\x1b[36m",
};

/** For other outputs. */
export const PLAIN: Colors = { reset: "", bold: "", red: "", green: "", yellow: "", cyan: "" };

/** Uses colours as WG_COLOR_MODE says (`always`, `never`), else if standard output is a terminal. */
export function chooseColors(): Colors {
  const mode = Deno.env.get("WG_COLOR_MODE");
  const colored = mode === "always" || mode !== "never" && Deno.stdout.isTerminal();
  return colored ? COLORED : PLAIN;
}
