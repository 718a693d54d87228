/**
 * The error for a line of a configuration file that cannot be used.
 *
 * @module
 */

/**
 * A line that cannot be used. The message is that of the original tool.
 *
 * @example
 * ```ts
 * import { ConfigError, parseConfig } from "@wgd/wgd";
 * import { throws } from "node:assert/strict";
 *
 * throws(
 *   () => parseConfig("[Interface]\nListenPort = x\n", { file: "wg0.conf" }),
 *   (error) => error instanceof ConfigError && error.hint.startsWith("wg0.conf:2: ListenPort: found "),
 * );
 * ```
 */
export class ConfigError extends Error {
  /** Tells this kind of error from others. */
  override name = "ConfigError";

  /**
   * Makes the error; nothing is printed.
   *
   * @param message What the original prints.
   * @param file Name of the file, as given.
   * @param line Counted from 1; 0 if no line is to blame.
   * @param key The key or section concerned.
   * @param advice What was found, what was expected, and how to fix it.
   */
  constructor(
    message: string,
    readonly file: string,
    readonly line: number,
    readonly key: string,
    readonly advice: string,
  ) {
    super(message);
  }

  /** Where it is, what was found and what to do: `wg0.conf:3: PrivateKey: found …`. */
  get hint(): string {
    // Long values are cut: the beginning is enough to find the line.
    const advice = this.advice.replace(
      /"([^"]*)"/g,
      (quoted, value) => value.length > 60 ? `"${value.slice(0, 60)}…"` : quoted,
    );
    const key = this.key.length > 60 ? `${this.key.slice(0, 60)}…` : this.key;
    return `${placeInFile(this.file, this.line, key)}: ${advice}`;
  }
}

/** Names a place in a file, as `wg0.conf:3: PrivateKey`. */
export function placeInFile(file: string, line: number, key: string): string {
  return line === 0 ? `${file}: ${key}` : `${file}:${line}: ${key}`;
}
