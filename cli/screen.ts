/**
 * A terminal's second screen, drawn over in place.
 *
 * @module
 */

import { print } from "./render/output.ts";

/** Shows the second screen until it is disposed of; what stood on the first is there again then. */
export class Screen {
  /** Changes to the second screen and hides the cursor. */
  constructor() {
    print("\x1b[?1049h\x1b[?25l");
  }

  /** Draws lines from the top; those that do not fit are counted in the last row. Lines that are too long are cut. */
  draw(lines: readonly string[]): void {
    const { rows } = Deno.consoleSize();
    const shown = lines.length <= rows
      ? lines
      : [...lines.slice(0, rows - 1), `… ${lines.length - rows + 1} more lines`];
    // Without wrapping (7l) a long line does not push the others out of place.
    print(`\x1b[?7l\x1b[H${shown.map((line) => `${line}\x1b[K`).join("\r\n")}\x1b[J\x1b[?7h`);
  }

  /** Gives the terminal back. */
  [Symbol.dispose](): void {
    print("\x1b[?25h\x1b[?1049l");
  }
}
