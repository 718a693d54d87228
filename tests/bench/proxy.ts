/**
 * Compares `wgd proxy` with other tunnels that end in a process: one that is built like wireproxy, and onetun. `deno
 * task bench:proxy --help` lists the options.
 *
 * The other end is wireguard-go with the kernel's TCP. Programs take turns in every round.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { sleep } from "../netns/lab/exec.ts";
import { ensurePrograms } from "../netns/peers/mod.ts";
import { machine } from "./machine.ts";
import { exchanges, type LinkQuality, PORTS, PROXIES, type ProxyName, ProxyScene } from "./proxy_scene.ts";
import { formatTable, type Result } from "./report.ts";
import { runBench } from "./run_bench.ts";
import type { Row } from "./measurement.ts";
import { median } from "./statistics.ts";

/** The measurements on one link. */
interface Part {
  readonly name: string;
  readonly rows: readonly Row[];
  readonly link?: LinkQuality;
  measure(scene: ProxyScene, seconds: number): Promise<(number | null)[]>;
}

const IDLE = 10_000;
const RATE = 100_000_000;
/** Round-trip time in milliseconds, and the fraction of lost datagrams. */
const LINKS = [[20, 0], [100, 0], [20, 0.001], [20, 0.01]] as const;

const lossy = LINKS.map(([roundTrip, loss]): Part => {
  const link = { bitsPerSecond: RATE, roundTrip, loss };
  const what = `100 Mbit/s, ${roundTrip} ms${loss ? `, ${loss * 100} % lost` : ""}`;
  return {
    name: `${roundTrip}ms${loss ? `-${loss * 100}%` : ""}`,
    link,
    rows: [`${what}: down`, `${what}: up`].map((title) => ({ title, unit: "Mbit/s", better: "more" })),
    measure: async (scene, seconds) => [
      await iperf(scene, seconds, ["-R"]) / 1e6,
      await iperf(scene, seconds) / 1e6,
    ],
  };
});

const PARTS: readonly Part[] = [
  {
    name: "quiet",
    rows: [
      { title: "No delay, one flow: down", unit: "Mbit/s", better: "more" },
      { title: "No delay, one flow: up", unit: "Mbit/s", better: "more" },
      { title: "No delay, eight flows: down", unit: "Mbit/s", better: "more" },
      { title: "Processor time, per gigabyte", unit: "s/GB", better: "less" },
      { title: "Open a connection and exchange a byte, median", unit: "ms", better: "less" },
      { title: "From start to the first byte through the tunnel", unit: "ms", better: "less" },
      { title: "Peak memory", unit: "MB", better: "less" },
      { title: "fetch() in a program, time in excess of loopback", unit: "ms", better: "less" },
    ],
    async measure(scene, seconds) {
      const { code, stdout, stderr } = await scene.user.run(exchanges(200, 30_000));
      if (code !== 0) throw new Error(`no exchange: ${stderr}`);
      const opened = median(stdout.trim().split("\n").map(Number));
      const before = await scene.processorSeconds();
      const down = await iperf(scene, seconds, ["-R"]);
      const up = await iperf(scene, seconds);
      const used = await scene.processorSeconds() - before;
      const eight = await iperf(scene, seconds, ["-R", "-P", "8"]);
      const gigabytes = (down + up) / 8 * seconds / 1e9;
      const memory = await scene.peakMemory() / 1e6;
      const longer = await scene.fetchTakesLonger();
      return [
        down / 1e6,
        up / 1e6,
        eight / 1e6,
        used / gigabytes,
        opened,
        scene.firstByteAfter,
        memory,
        longer,
      ];
    },
  },
  ...lossy,
  {
    name: "idle",
    rows: [
      { title: "10,000 idle connections: resident memory of each", unit: "KiB", better: "less" },
      { title: "10,000 idle connections: processor time in ten seconds", unit: "ms", better: "less" },
    ],
    async measure(scene) {
      const { code } = await scene.user.run(exchanges(200, 30_000));
      if (code !== 0) throw new Error("no exchange");
      const before = await scene.residentMemory();
      await using idle = await scene.openIdle(IDLE);
      // Until garbage has been collected, and what follows the last exchange is done.
      await sleep(10_000);
      const each = (await scene.residentMemory() - before) / IDLE / 1_024;
      const begun = await scene.processorSeconds();
      await sleep(10_000);
      const used = await scene.processorSeconds() - begun;
      await idle.check();
      return [each, used * 1_000];
    },
  },
];

const USAGE = `Usage: deno task bench:proxy [options]

  --rounds N       how often each program is measured (default 3)
  --seconds N      how long a transfer takes (default 8)
  --only NAME      measure only this; may be given more than once
  --with NAME      measure only this program; may be given more than once
  --help           show this

Measurements: ${PARTS.map(({ name }) => name).join(", ")}
Programs: ${PROXIES.join(", ")}
`;

interface Options {
  readonly rounds: number;
  readonly seconds: number;
  readonly names: readonly ProxyName[];
  readonly parts: readonly Part[];
}

/**
 * Parses the options.
 *
 * @returns Undefined if the usage must be shown.
 * @throws {TypeError} If an option is invalid.
 */
export function parseOptions(args: string[]): Options | undefined {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: "string", default: "3" },
      seconds: { type: "string", default: "8" },
      with: { type: "string", multiple: true, default: [] },
      only: { type: "string", multiple: true, default: [] },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const numberOf = (option: "rounds" | "seconds") => {
    const number = Number(values[option]);
    if (Number.isInteger(number) && number > 0) return number;
    throw new TypeError(`"--${option} ${values[option]}" is not a number of ${option}`);
  };
  return {
    rounds: numberOf("rounds"),
    seconds: numberOf("seconds"),
    names: chosen(PROXIES, values.with, (name) => name, "program"),
    parts: chosen(PARTS, values.only, ({ name }) => name, "measurement"),
  };
}

/** The contenders with the given names; all if none is given. @throws {TypeError} If a name is unknown. */
function chosen<T>(
  all: readonly T[],
  names: readonly string[],
  nameOf: (one: T) => string,
  what: string,
): T[] {
  for (const name of names) {
    if (!all.some((one) => nameOf(one) === name)) {
      throw new TypeError(`There is no ${what} "${name}"\nhint: deno task bench:proxy --help lists them`);
    }
  }
  return all.filter((one) => names.length === 0 || names.includes(nameOf(one)));
}

/** @returns Bits per second that arrived. */
async function iperf({ user }: ProxyScene, seconds: number, words: readonly string[] = []): Promise<number> {
  const command = [
    "iperf3",
    "-c",
    "127.0.0.1",
    "-p",
    String(PORTS.iperf),
    "-J",
    "-t",
    String(seconds),
    ...words,
  ];
  // The server takes one client at a time, and ends its last one a round trip after that client has ended.
  await sleep(1_000);
  const { stdout } = await user.run(command, { timeout: (seconds + 30) * 1000 });
  const report = JSON.parse(stdout);
  if (report.error) throw new Error(`iperf3: ${report.error}`);
  return report.end.sum_received.bits_per_second;
}

async function main(args: string[]): Promise<void> {
  const options = parseOptions(args);
  if (!options) return console.log(USAGE);
  const { rounds, seconds, names, parts } = options;
  await ensurePrograms("bash", "ip", "iperf3", "unshare", "wg");
  Deno.addSignalListener("SIGINT", () => Deno.exit(130));
  const results: Result[] = parts.flatMap(({ rows }) =>
    rows.map((row) => ({ ...row, figures: {}, missing: {} }))
  );
  for (let round = 1; round <= rounds; round++) {
    let first = 0;
    for (const { name: part, rows, link, measure } of parts) {
      for (const name of names) {
        let figures: (number | null)[];
        try {
          await using scene = await ProxyScene.start(name, link);
          figures = await measure(scene, seconds);
        } catch (error) {
          figures = rows.map(() => null);
          results[first]!.missing[name] = String((error as Error).message).slice(0, 200);
        }
        rows.forEach((row, i) => {
          (results[first + i]!.figures[name] ??= []).push(figures[i]!);
          console.error(`bench: round ${round}, ${part}, ${name}: ${row.title}: ${figures[i]?.toFixed(2)}`);
        });
      }
      first += rows.length;
    }
  }
  const versions = Object.fromEntries(
    names.map((name) => [name, name === "netstack" ? "wireguard-go's" : "newest"]),
  );
  console.log(formatTable({ machine: await machine(), versions, rounds, results }));
}

if (import.meta.main) await runBench(main);
