/**
 * Reads the output of Deno's test runner, and adds up the results of a run.
 *
 * @module
 */

import { LEFT_OUT } from "../../tests/skip.ts";

/** The last line of Deno's runner, such as `ok | 12 passed (3 steps) | 0 failed | 1 ignored (2s)`. */
const SUMMARY =
  /^(?:ok|FAILED) \| (\d+) passed(?: \([^)]*\))? \| (\d+) failed(?: \([^)]*\))?(?: \| (\d+) ignored)?/gm;
/** The runner's output for a skipped test. */
const SKIPPED = /^(.*) \.\.\. ignored/gm;

/** The result of a suite. */
export interface Outcome {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Tests that were skipped because something is missing. */
  readonly lacking: readonly string[];
  /** The runner's report of its failures. */
  readonly failure: string;
}

/**
 * Reads the result of a suite.
 *
 * @param name Its name, for messages.
 * @param success Whether the runner's exit code was 0.
 * @param text What the runner wrote, without colors.
 * @param complaints What it wrote on standard error.
 */
export function readOutcome(name: string, success: boolean, text: string, complaints: string): Outcome {
  // The last match, because a test may itself run a test runner.
  const [summary] = [...text.matchAll(SUMMARY)].slice(-1);
  const [passed, failed, skipped] = [1, 2, 3].map((group) => Number(summary?.[group] ?? 0));
  const ignored = [...text.matchAll(SKIPPED)].map(([, test]) => test!);
  const at = text.indexOf("\n ERRORS \n");
  return {
    passed: passed!,
    // A runner that fails without a failed test has not run them: a module could not be loaded, or it crashed.
    failed: success ? failed! : Math.max(failed!, 1),
    skipped: skipped!,
    lacking: ignored.filter((test) => !test.includes(LEFT_OUT)).map((test) => `${name}: ${test}`),
    failure: `== ${name}\n${at < 0 ? text.slice(-4_000) + complaints : text.slice(at)}`,
  };
}

/** The results of a run. */
export class Results {
  readonly #total = { passed: 0, failed: 0, skipped: 0 };
  readonly #failures: string[] = [];
  readonly #unsteady: string[] = [];
  readonly #lacking: string[] = [];

  /** @param whole Whether the run fails if a test was skipped because something is missing. */
  constructor(readonly whole: boolean) {}

  /** Adds the result of a suite. */
  add({ passed, failed, skipped, lacking, failure }: Outcome): void {
    this.#total.passed += passed;
    this.#total.failed += failed;
    this.#total.skipped += skipped;
    this.#lacking.push(...lacking);
    if (failed > 0) this.#failures.push(failure);
  }

  /** Adds the failure of a suite that passed when it ran again. */
  addUnsteady({ failure }: Outcome): void {
    this.#unsteady.push(failure);
  }

  /** The report, whose last line programs can read, and whether the run has passed. */
  report(): { readonly text: string; readonly success: boolean } {
    const parts = this.#failures.map((failure) => `\n${failure}`);
    for (const failure of this.#unsteady) {
      parts.push(`\nFAILED, and passed when it ran again by itself: ${failure}`);
    }
    const incomplete = this.#lacking.length > 0;
    if (incomplete) {
      parts.push(
        `\nSkipped for want of something:\n${this.#lacking.map((name) => `    ${name}`).join("\n")}`,
      );
    }
    if (this.whole && incomplete) {
      parts.push(
        "\nThis run was meant to be whole, and is not. Install what is missing, or leave it out: --partial",
      );
    }
    const { passed, skipped } = this.#total;
    const failed = this.#total.failed + (this.whole && incomplete ? 1 : 0);
    parts.push(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
    return { text: parts.join("\n"), success: failed === 0 };
  }
}
