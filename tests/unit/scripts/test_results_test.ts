import { deepEqual, equal } from "node:assert/strict";
import { type Outcome, readOutcome, Results } from "../../../scripts/test/results.ts";

const NEEDY = 'testUnless("needs gcc", "gcc is missing", () => {});';

/** Runs a test that passes, one that is left out by choice, and more, with Deno's own runner. */
async function outcomeOf(more: string): Promise<Outcome> {
  const file = await Deno.makeTempFile({ suffix: "_test.ts" });
  try {
    await Deno.writeTextFile(
      file,
      `import { testUnless } from "${new URL("../../skip.ts", import.meta.url)}";
      testUnless("works", undefined, () => {});
      testUnless("takes hours", { leftOut: "--full runs it" }, () => {});
      ${more}`,
    );
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["test", "--no-check", file],
      env: { NO_COLOR: "1" },
    }).output();
    const [text, complaints] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
    return readOutcome("suite", success, text!, complaints!);
  } finally {
    await Deno.remove(file);
  }
}

/** The last line of the report, and whether the run passed. */
function verdict(whole: boolean, outcome: Outcome): [string, boolean] {
  const results = new Results(whole);
  results.add(outcome);
  const { text, success } = results.report();
  return [text.split("\n").at(-1)!, success];
}

Deno.test("a whole run fails if a test was skipped because something is missing, and a partial run passes", async () => {
  const outcome = await outcomeOf(NEEDY);
  deepEqual(outcome.lacking, ["suite: needs gcc (skipped: gcc is missing)"]);
  deepEqual(verdict(true, outcome), ["1 passed, 1 failed, 2 skipped", false]);
  deepEqual(verdict(false, outcome), ["1 passed, 0 failed, 2 skipped", true]);
});

Deno.test("a whole run passes without the tests that are left out by choice", async () => {
  deepEqual(verdict(true, await outcomeOf("")), ["1 passed, 0 failed, 1 skipped", true]);
});

Deno.test("a run fails if a test fails, and if a module cannot be loaded", async () => {
  for (
    const [more, passed] of [['Deno.test("fails", () => { throw 1; });', 1], [
      'import "./none.ts";',
      0,
    ]] as const
  ) {
    const outcome = await outcomeOf(more);
    equal(outcome.failed, 1);
    deepEqual(verdict(false, outcome), [`${passed} passed, 1 failed${passed ? ", 1 skipped" : ""}`, false]);
  }
});
