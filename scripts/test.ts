/**
 * Runs every test, and prints a summary whose last line programs can read: `N passed, N failed, N skipped`.
 *
 *     deno task test             all tests that fit in a quarter of an hour
 *     deno task test --unit      tests that need neither root nor a network
 *     deno task test --full      also tests that take hours
 *     deno task test --partial   passes if tests were skipped because something is missing
 *
 * As root, a run must be complete: it fails if a test is skipped because something is missing.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { V8_FLAGS } from "../core/v8_flags.ts";
import { type Outcome, readOutcome, Results } from "./test/results.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const unitOnly = Deno.args.includes("--unit");
const full = Deno.args.includes("--full");
const whole = Deno.uid() === 0 && !unitOnly && !Deno.args.includes("--partial");

/** The suffix of a test file. */
const TEST_FILE = /_test\.ts$/;

/** Exit code of a script that prints what is missing on this machine. */
const EXIT_MISSING = 3;

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

/**
 * Suites that take minutes. They begin first, so that none runs alone at the end. Those that compute (an emulated
 * machine, thousands of command lines) are between those that wait.
 */
const LONG_SUITES = [
  ...["netns/backend", "netns/interop", "cli", "netns/lanes", "netns/kernel", "netns/quick", "unit"],
  ...["netns/offload", "unit/web", "netns/bad_wire", "netns/netns_sh", "cli/compile", "cli/executable"],
];
/**
 * Test files of tests/cli that make no control socket. The others run one by one, because some list all control
 * sockets.
 */
const WITHOUT_SOCKETS = [
  ...["cli/compile", "cli/durable_file", "cli/executable"],
  ...["cli/foreign_folder", "cli/manual", "cli/run_program"],
];
/** Tests that measure elapsed or processor time. Nothing else runs at the same time. */
const TIMED_SUITES = ["netns/crowd", "netns/first_packet", "netns/lifecycle"];
/** Concurrent runners. On two processors, tests wait half of their time. */
const RUNNERS = 3;
/**
 * Test files that wait for timers, outages and time limits, and need a tenth of a processor. One more runner runs them
 * one by one beside the others.
 */
const WAITING_SUITES = [
  ...["netns/endpoint_name", "netns/rootless_endpoint", "netns/repair", "netns/directory_tunnel"],
  ...["netns/faults", "netns/doctor", "netns/web_flood", "netns/moved", "netns/hints", "netns/live"],
];

/** The arguments of one run of Deno's test runner. */
interface Suite {
  readonly name: string;
  readonly args: readonly string[];
}

const results = new Results(whole);

/** Runs a suite, prints the runner's output when it has ended, and reads its summary. */
async function run({ name, args }: Suite): Promise<Outcome> {
  console.log(`-- ${name} …`);
  const started = performance.now();
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["test", "--allow-all", "--no-check", `--v8-flags=${V8_FLAGS}`, ...args],
    cwd: root,
    env: { NO_COLOR: "1", ...(full && { WGD_TEST_FULL: "1" }) },
    stdin: "null",
  }).output();
  const [text, complaints] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  console.log(`\n== ${name}: ${((performance.now() - started) / 1e3).toFixed(0)} s\n${text}${complaints}`);
  return readOutcome(name, success, text!, complaints!);
}

/**
 * Runs queues of suites, each in its order and with its number of runners. Then runs each suite that failed once more,
 * alone. On a shared, slow machine a test may not get the processor in time. This does not make a change wrong, but the
 * test must be fixed, so the summary shows it. A suite that fails twice has failed.
 */
async function runAll(...queues: readonly { suites: Suite[]; runners: number }[]): Promise<void> {
  const failed: [Suite, Outcome][] = [];
  const work = async (suites: Suite[]) => {
    for (let suite = suites.shift(); suite; suite = suites.shift()) {
      const outcome = await run(suite);
      if (outcome.failed > 0) failed.push([suite, outcome]);
      else results.add(outcome);
    }
  };
  await Promise.all(
    queues.flatMap(({ suites, runners }) => Array.from({ length: runners }, () => work(suites))),
  );
  for (const [suite, first] of failed) {
    const second = await run(suite);
    results.add(second);
    if (second.failed === 0) results.addUnsteady(first);
  }
}

/** Runs one of our scripts as one test. */
async function script(name: string, ...args: string[]): Promise<void> {
  console.log(`\n== ${name}`);
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--quiet", ...args],
    cwd: root,
    stdin: "null",
  }).spawn().status;
  const missing = code === EXIT_MISSING;
  results.add({
    passed: code === 0 ? 1 : 0,
    failed: code === 0 || missing ? 0 : 1,
    skipped: missing ? 1 : 0,
    lacking: missing ? [`${name}: its output is above`] : [],
    failure: `== ${name} failed; its output is above`,
  });
}

/** The files in a folder of tests, in order. */
async function list(folder: string): Promise<string[]> {
  const names = await Array.fromAsync(Deno.readDir(`${root}tests/${folder}`), ({ name }) => name);
  return names.sort().map((name) => `tests/${folder}/${name}`);
}

/** The name of a test file in `LONG_SUITES` and other lists. */
function shortName(path: string): string {
  return path.replace(/^tests\//, "").replace(TEST_FILE, "");
}

/** Suites by their names in `LONG_SUITES` and other lists. */
type Suites = Map<string, Suite>;

/** Tests that need neither root nor an executable. */
async function unit(): Promise<Suites> {
  const folders = await list("unit");
  const web = "tests/unit/web";
  return new Map([
    ["unit", { name: "unit tests", args: folders.filter((folder) => folder !== web) }],
    ["unit/web", { name: "unit tests of wgd web", args: [web] }],
    ["examples", { name: "examples in the documentation", args: ["--doc", ...DOCUMENTED] }],
  ]);
}

/** Tests that need a built executable and, mostly, root. */
async function real(): Promise<Suites> {
  const netns = (await list("netns")).filter((path) => TEST_FILE.test(path));
  const cli = (await list("cli")).filter((path) => TEST_FILE.test(path));
  const free = cli.filter((path) => WITHOUT_SOCKETS.includes(shortName(path)));
  const others = cli.filter((path) => !free.includes(path));
  return new Map([
    ...[...netns, ...free].map((path): [string, Suite] => [shortName(path), { name: path, args: [path] }]),
    ["cli", { name: "tests/cli", args: others }],
  ]);
}

// Debian's packages and other implementations. The first download takes minutes and prints what it does.
if (Deno.uid() === 0 && !unitOnly) await script("what tests need", "tests/netns/peers/main.ts");
const suites = await unit();
if (!unitOnly) {
  // Tests of the launcher need this kind of executable, on every machine. compile.ts tests what `deno compile` makes.
  await script("compiling dist/wgd", "scripts/compile.ts", "--self-extracting");
  Deno.env.set("WGD_TEST_PROGRAM", `${root}dist/wgd`);
  for (const [name, suite] of await real()) suites.set(name, suite);
}
const take = (names: Iterable<string>) =>
  [...names].flatMap((name) => {
    const suite = suites.get(name);
    suites.delete(name);
    return suite ?? [];
  });
const [alone, waiting, long] = [TIMED_SUITES, WAITING_SUITES, LONG_SUITES].map(take);
await runAll(
  { suites: [...long!, ...take(suites.keys())], runners: RUNNERS },
  { suites: waiting!, runners: 1 },
);
await runAll({ suites: alone!, runners: 1 });

const { text, success } = results.report();
console.log(text);
Deno.exit(success ? 0 : 1);
