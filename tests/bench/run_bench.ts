/**
 * Runs a benchmark as a program.
 *
 * @module
 */

/** Runs it with the arguments of the command line. An error is one line, and the status 1. */
export async function runBench(main: (args: string[]) => Promise<void>): Promise<void> {
  try {
    await main(Deno.args);
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : error}`);
    Deno.exitCode = 1;
  }
}
