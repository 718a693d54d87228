/**
 * The alternate screen of a terminal, redrawn in place.
 *
 * @module
 */

import { print } from "./render/output.ts";

/** Shows the alternate screen until it is disposed of; then the normal screen is back. */
export class Screen {
  /** Switches to the alternate screen and hides the cursor. */
  constructor() {
    print("\x1b[?1049h\x1b[?25l");
  }

  /** Draws lines from the top. Long lines are cut; the last row counts the lines that do not fit. */
  draw(lines: readonly string[]): void {
    const { rows } = Deno.consoleSize();
    const shown = lines.length <= rows
      ? lines
      : [...lines.slice(0, rows - 1), `… ${lines.length - rows + 1} more lines`];
    // Without wrapping (7l), a long line takes one row.
    print(`\x1b[?7l\x1b[H${shown.map((line) => `${line}\x1b[K`).join("\r\n")}\x1b[J\x1b[?7h`);
  }

  /** Switches back and shows the cursor. */
  [Symbol.dispose](): void {
    print("\x1b[?25h\x1b[?1049l");
  }
}
