/**
 * The error for an invalid line of a configuration file.
 *
 * @module
 */

/**
 * An invalid line of a configuration file. The message is that of the original tool.
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
  /** Distinguishes this kind of error from others. */
  override name = "ConfigError";

  /**
   * Makes the error; nothing is printed.
   *
   * @param message The message of the original tool.
   * @param file Name of the file, as given.
   * @param line Counted from 1; 0 if it is not about a line.
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

  /** The place, what was found and what to do: `wg0.conf:3: PrivateKey: found …`. */
  get hint(): string {
    // Long values are cut, because the beginning is enough to find the line.
    const advice = this.advice.replace(
      /"([^"]*)"/g,
      (quoted, value) => value.length > 60 ? `"${value.slice(0, 60)}…"` : quoted,
    );
    const key = this.key.length > 60 ? `${this.key.slice(0, 60)}…` : this.key;
    return `${placeInFile(this.file, this.line, key)}: ${advice}`;
  }
}

/** Formats a place in a file, such as `wg0.conf:3: PrivateKey`. */
export function placeInFile(file: string, line: number, key: string): string {
  return line === 0 ? `${file}: ${key}` : `${file}:${line}: ${key}`;
}
