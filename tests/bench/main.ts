/**
 * Measures wgd beside other implementations on this machine: `deno task bench --help`.
 *
 * Machines differ and drift, so the contenders take turns in every round, and what counts are ratios within one run.
 * Both ends of a tunnel, the traffic and its sink share this machine's processors.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { ensurePrograms, PeerUnavailable } from "../netns/peers/mod.ts";
import { chart } from "./chart.ts";
import { contenders } from "./contender.ts";
import { type Measurement, onSlowCores } from "./measurement.ts";
import { MEASUREMENTS } from "./measurements.ts";
import { profile } from "./profile.ts";
import { formatTable } from "./report.ts";
import { measureAll } from "./rounds.ts";
import { runBench } from "./run_bench.ts";
import { shareOf, SlowCores } from "./slow_cores.ts";

const USAGE = `Usage: deno task bench [options]

  --rounds N       how often each implementation is measured (default 5)
  --quick          one short round, without 100,000 peers
  --cores N,N      give each daemon so many slow cores (slow_cores.ts); measures what cores can make faster
  --only NAME      measure only this; may be given more than once
  --with NAME      measure only this implementation; may be given more than once
  --lanes N        measure wgd with so many lanes besides, or "auto"; may be given more than once
  --peer NAME=PATH one more implementation, run as PATH --foreground INTERFACE
  --json FILE      write every figure to a file
  --profile FOLDER measure wgd once ("tcp", or --only NAME), and write where its time goes;
                   only --only and --quick go with it
  --svg FILE       draw what each is of wireguard-go

Measurements: ${MEASUREMENTS.map(({ name }) => name).join(", ")}
`;
const SECONDS = 3;
const QUICK_SECONDS = 1;
/** Takes half a minute however short the flows are. */
const SLOWEST = "peers-100000";
/** Options that a profile cannot follow, each with the reason. */
const NOT_PROFILED = {
  lanes: "Deno profiles only the main thread of a process, and lanes are other threads",
  cores: "it does not limit the processor time of the daemons",
  rounds: "it measures once",
  with: "it measures only wgd",
  peer: "it measures only wgd",
  json: "it writes only profiles",
  svg: "it writes only profiles",
} as const;
/** Above this load, other programs use the machine, and the figures mean little. */
const MAX_LOAD = 0.5;

interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly measurements: readonly Measurement[];
  /** Slow cores of each daemon; none means that all share all processors. */
  readonly cores: readonly number[];
  /** Names of contenders; none means all. */
  readonly chosen: readonly string[];
  readonly peers: readonly string[];
  readonly lanes: readonly string[];
  readonly json: string | undefined;
  readonly svg: string | undefined;
  readonly profile: string | undefined;
}

function say(text: string): void {
  console.error(`bench: ${Math.round(performance.now() / 1000)} s: ${text}`);
}

/** @throws {TypeError} If an argument is not understood. */
export function parseOptions(args: string[]): Options | undefined {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: "string" },
      quick: { type: "boolean", default: false },
      cores: { type: "string" },
      only: { type: "string", multiple: true, default: [] },
      with: { type: "string", multiple: true, default: [] },
      peer: { type: "string", multiple: true, default: [] },
      lanes: { type: "string", multiple: true, default: [] },
      json: { type: "string" },
      svg: { type: "string" },
      profile: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  if (values.profile !== undefined) {
    for (const [name, reason] of Object.entries(NOT_PROFILED)) {
      const value = values[name as keyof typeof NOT_PROFILED];
      if (value !== undefined && value.length > 0) {
        throw new TypeError(`--profile cannot be combined with --${name}: ${reason}`);
      }
    }
  }
  const only = values.only.length === 0 && values.profile !== undefined ? ["tcp"] : values.only;
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new TypeError(`"--rounds ${values.rounds}" is not a number of rounds`);
  }
  for (const name of values.only) {
    if (!MEASUREMENTS.some((measurement) => measurement.name === name)) {
      throw new TypeError(`There is no measurement "${name}"\nhint: deno task bench --help lists them`);
    }
  }
  const cores = values.cores?.split(",").map(Number) ?? [];
  if (!cores.every((count) => Number.isInteger(count) && count > 0)) {
    throw new TypeError(`"--cores ${values.cores}" is not a list of numbers of cores`);
  }
  const chosen = MEASUREMENTS.filter(({ name, scales }) => {
    if (only.length > 0) return only.includes(name);
    return cores.length > 0 ? scales : !values.quick || name !== SLOWEST;
  });
  return {
    rounds,
    seconds: values.quick ? QUICK_SECONDS : SECONDS,
    measurements: cores.length === 0
      ? chosen
      : cores.flatMap((count) => chosen.map((measurement) => onSlowCores(measurement, count))),
    cores,
    chosen: values.with,
    peers: values.peer,
    lanes: values.lanes,
    json: values.json,
    svg: values.svg,
    profile: values.profile,
  };
}

async function main(args: string[]): Promise<void> {
  const options = parseOptions(args);
  if (!options) return console.log(USAGE);
  if (Deno.uid() !== 0) throw new PeerUnavailable("this needs root, to make network namespaces");
  await ensurePrograms("bash", "ip", "iperf3", "ping", "unshare", "wg");
  // Hosts end with this process, and all processes on them (tests/netns/lab/host.ts).
  Deno.addSignalListener("SIGINT", () => Deno.exit(130));
  for (const count of options.cores) {
    const reason = await SlowCores.lacks(count);
    if (reason !== undefined) throw new PeerUnavailable(reason);
  }
  if (options.profile !== undefined) {
    return await profile(options.measurements, options.seconds, options.profile, say);
  }
  const [load] = Deno.loadavg();
  if (!Deno.env.has("WGD")) await compile();
  const all = await contenders(options.chosen, options.peers, options.lanes);
  if (load! > MAX_LOAD) say(`the machine is not idle (load ${load!.toFixed(1)}): figures will be off`);
  const report = { ...await measureAll({ ...options, contenders: all }, say), ...noteOn(options.cores) };
  console.log(formatTable(report));
  if (options.svg) await Deno.writeTextFile(options.svg, chart(report));
  if (options.json) await Deno.writeTextFile(options.json, JSON.stringify(report, null, 2) + "\n");
}

/** Explains slow cores in the results. */
function noteOn(cores: readonly number[]): { note?: string } {
  if (cores.length === 0) return {};
  const shares = Map.groupBy(cores, (count) => shareOf(count).toFixed(2));
  const texts = [...shares].map(([share, counts]) =>
    `${share} of a processor with ${counts.join(", ")} a side`
  );
  return {
    note: `A slow core: each thread of a daemon may use so much, and the daemon that many times it in all: ` +
      `${texts.join("; ")}.`,
  };
}

/** The executable that users run is measured. From its sources, wgd starts slower and may be another build. */
async function compile(): Promise<void> {
  say("making dist/wgd");
  const script = fileURLToPath(new URL("../../scripts/compile.ts", import.meta.url));
  const args = ["run", "--allow-all", "--quiet", script];
  const { success } = await new Deno.Command(Deno.execPath(), { args, stdin: "null", stdout: "null" })
    .output();
  if (!success) throw new Error("dist/wgd could not be made\nhint: deno task compile says why");
}

if (import.meta.main) await runBench(main);
