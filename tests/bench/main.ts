/**
 * Measures wgd beside other implementations on this machine: `deno task bench --help`.
 *
 * Machines differ and drift, so the contenders take turns in every round, and what counts are ratios within one run.
 * Both ends of a tunnel, the traffic and its sink share this machine's processors.
 *
 * @module
 */

import { cpus, release } from "node:os";
import { parseArgs } from "node:util";
import { ensurePrograms, PeerUnavailable } from "../netns/peers/mod.ts";
import { type Contender, contenders, version } from "./contender.ts";
import { type Measurement, MEASUREMENTS, type Row } from "./measurements.ts";
import { formatTable, type Report } from "./report.ts";
import { Session } from "./session.ts";

const USAGE = `Usage: deno task bench [options]

  --rounds N       how often each implementation is measured (default 5)
  --quick          two short rounds
  --only NAME      measure only this; may be given more than once
  --with NAME      measure only this implementation; may be given more than once
  --peer NAME=PATH one more implementation, run as PATH --foreground INTERFACE
  --json FILE      write every figure to a file

Measurements: ${MEASUREMENTS.map(({ name }) => name).join(", ")}
`;
const SECONDS = 4;
const QUICK_SECONDS = 1;
/** Above this load somebody else is using the machine, and the figures mean little. */
const QUIET = 0.5;

interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly measurements: readonly Measurement[];
  /** Names of contenders; none means all. */
  readonly chosen: readonly string[];
  readonly peers: readonly string[];
  readonly json: string | undefined;
}

function say(text: string): void {
  console.error(`bench: ${Math.round(performance.now() / 1000)} s: ${text}`);
}

/** @throws {TypeError} If an argument is not understood. */
function parseOptions(args: string[]): Options | undefined {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: "string" },
      quick: { type: "boolean", default: false },
      only: { type: "string", multiple: true, default: [] },
      with: { type: "string", multiple: true, default: [] },
      peer: { type: "string", multiple: true, default: [] },
      json: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const rounds = Number(values.rounds ?? (values.quick ? 2 : 5));
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new TypeError(`"--rounds ${values.rounds}" is not a number of rounds`);
  }
  for (const name of values.only) {
    if (!MEASUREMENTS.some((measurement) => measurement.name === name)) {
      throw new TypeError(`There is no measurement "${name}"\nhint: deno task bench --help lists them`);
    }
  }
  return {
    rounds,
    seconds: values.quick ? QUICK_SECONDS : SECONDS,
    measurements: MEASUREMENTS.filter(({ name }) => values.only.length === 0 || values.only.includes(name)),
    chosen: values.with,
    peers: values.peer,
    json: values.json,
  };
}

async function measureAll(all: readonly Contender[], options: Options): Promise<Report> {
  const { rounds, measurements } = options;
  const results = new Map(
    measurements.flatMap(({ rows }) => rows).map((row) => [row, new Map<string, number[]>()]),
  );
  for (let round = 1; round <= rounds; round++) {
    for (const contender of all) {
      const prefix = `round ${round} of ${rounds}, ${contender.name}`;
      for (const [row, figure] of await measureOnce(contender, options, prefix)) {
        const figures = results.get(row)!;
        figures.set(contender.name, [...figures.get(contender.name) ?? [], figure]);
      }
    }
  }
  const versions = Object.fromEntries(
    await Promise.all(all.map(async (contender) => [contender.name, await version(contender)])),
  );
  const processors = cpus();
  const machine = `${processors.length} × ${processors[0]!.model.trim()}, Linux ${release()}`;
  return {
    machine,
    versions,
    rounds,
    results: [...results].map(([row, figures]) => ({ ...row, figures: Object.fromEntries(figures) })),
  };
}

/** One contender's figures of one round; a measurement that fails is told and left out. */
async function measureOnce(
  contender: Contender,
  { seconds, measurements }: Options,
  prefix: string,
): Promise<[Row, number][]> {
  const found: [Row, number][] = [];
  for (const family of [4, 6] as const) {
    const ofFamily = measurements.filter((measurement) => (measurement.family ?? 4) === family);
    if (ofFamily.length === 0) continue;
    await using session = await Session.start(contender, family);
    for (const { name, rows, measure } of ofFamily) {
      try {
        const figures = await measure(session, seconds);
        for (const [i, row] of rows.entries()) {
          found.push([row, figures[i]!]);
          say(`${prefix}: ${row.title}: ${figures[i]!.toPrecision(3)} ${row.unit}`);
        }
      } catch (error) {
        say(`${prefix}: ${name} failed: ${(error as Error).message}`);
      }
    }
  }
  return found;
}

async function main(args: string[]): Promise<void> {
  const options = parseOptions(args);
  if (!options) return console.log(USAGE);
  if (Deno.uid() !== 0) throw new PeerUnavailable("this needs root, to make network namespaces");
  await ensurePrograms("bash", "ip", "iperf3", "ping", "unshare", "wg");
  const all = await contenders(options.chosen, options.peers);
  const [load] = Deno.loadavg();
  if (load! > QUIET) say(`the machine is not idle (load ${load!.toFixed(1)}): figures will be off`);
  const report = await measureAll(all, options);
  console.log(formatTable(report));
  if (options.json) await Deno.writeTextFile(options.json, JSON.stringify(report, null, 2) + "\n");
}

try {
  await main(Deno.args);
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : error}`);
  Deno.exitCode = 1;
}
