/**
 * Every test, and a summary whose last line can be read by a program: `N passed, N failed, N skipped`.
 *
 *     deno task test             everything that fits a quarter of an hour
 *     deno task test --unit      what needs neither root nor a network
 *     deno task test --full      what takes hours as well
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { V8_FLAGS } from "../core/v8_flags.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const unitOnly = Deno.args.includes("--unit");
const full = Deno.args.includes("--full");

/** What one run of Deno's test runner counted. */
interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** How Deno's runner ends, as `ok | 12 passed (3 steps) | 0 failed | 1 ignored (2s)`. */
const SUMMARY =
  /^(?:ok|FAILED) \| (\d+) passed(?: \([^)]*\))? \| (\d+) failed(?: \([^)]*\))?(?: \| (\d+) ignored)?/gm;

/** Exit code of a script which says that this machine lacks something, and what. */
const LACKING = 3;

/** Where public documentation has examples. Those that need root are run by tests/netns/library_test.ts. */
const DOCUMENTED = [
  "mod.ts",
  "core/config",
  "core/tunnel/start.ts",
  "core/keys.ts",
  "core/public_key.ts",
  "core/quick",
  "core/client",
  "core/uapi",
];

const total: Counts = { passed: 0, failed: 0, skipped: 0 };
const failures: string[] = [];

/** Runs tests, shows what the runner shows, and reads its summary. */
async function test(suite: string, ...args: string[]): Promise<void> {
  console.log(`\n== ${suite}`);
  const started = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "--allow-all", "--no-check", `--v8-flags=${V8_FLAGS}`, ...args],
    cwd: root,
    env: { NO_COLOR: "1", ...(full && { WGD_TEST_FULL: "1" }) },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of child.stdout) {
    const part = decoder.decode(bytes, { stream: true });
    text += part;
    await Deno.stdout.write(bytes);
  }
  const { success } = await child.status;
  // The last one: a test may itself have run a test runner.
  const [summary] = [...text.matchAll(SUMMARY)].slice(-1);
  total.passed += Number(summary?.[1] ?? 0);
  total.failed += Number(summary?.[2] ?? 0);
  total.skipped += Number(summary?.[3] ?? 0);
  if (!success) {
    // A runner that failed without a failed test has not run them: a module that does not load, a crash.
    if (!summary || summary[2] === "0") total.failed++;
    const at = text.indexOf("\n ERRORS \n");
    failures.push(`== ${suite}\n${at < 0 ? text.slice(-4_000) : text.slice(at)}`);
  }
  console.log(`== ${suite}: ${((performance.now() - started) / 1e3).toFixed(0)} s`);
}

/** Runs a script of ours as one test. */
async function script(suite: string, ...args: string[]): Promise<void> {
  console.log(`\n== ${suite}`);
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--quiet", ...args],
    cwd: root,
    stdin: "null",
  }).spawn().status;
  if (code === 0) total.passed++;
  else if (code === LACKING) total.skipped++;
  else {
    total.failed++;
    failures.push(`== ${suite} failed; its output is above`);
  }
}

await test("unit tests", "tests/unit");
await test("examples in the documentation", "--doc", ...DOCUMENTED);
if (!unitOnly) {
  await script("compiling dist/wgd", "scripts/compile.ts");
  Deno.env.set("WGD_TEST_PROGRAM", `${root}dist/wgd`);
  // Debian's wg and other implementations. Fetching them takes minutes the first time; it tells what it does.
  if (Deno.uid() === 0) await script("peers", "tests/netns/peers/main.ts");
  await test("command line", "tests/cli");
  await test("namespaces and real peers", "tests/netns");
}

for (const failure of failures) console.log(`\n${failure}`);
const { passed, failed, skipped } = total;
console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
Deno.exit(failed > 0 ? 1 : 0);
