/**
 * `wgd web` with many devices: its start, its memory, and how long requests take: `deno task bench:web --help`.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { API, DATA, WebLab } from "../netns/lab/web.ts";
import { machine } from "./machine.ts";
import { runBench } from "./run_bench.ts";
import type { WebFigures } from "./web_requests.ts";

const USAGE = `Usage: deno task bench:web [devices ...]

  Measures wgd web with so many devices, one server after the other; needs root.
  Without numbers: 1000 10000 100000.

  --help           show this
`;
const SIZES = [1_000, 10_000, 100_000];
/** They fit into 10.64.0.0/14. */
const MAX_DEVICES = 262_000;
/** Milliseconds. */
const LONGEST_START = 120_000;
const REQUESTS = new URL("web_requests.ts", import.meta.url).pathname;

interface Figures extends WebFigures {
  /** Seconds until the server listens. */
  readonly start: number;
  /** Seconds until the interface has all peers. */
  readonly settled: number;
  /** The same if the interface already has the peers. */
  readonly restart: number;
  readonly resettled: number;
  /** Resident MB. */
  readonly web: number;
  readonly keeper: number;
}

async function measure(devices: number): Promise<Figures> {
  await using lab = await WebLab.createLarge(devices);
  const { server } = lab;
  const start = await timed(() => lab.run(LONGEST_START));
  const settled = start + await timed(() => lab.settled(LONGEST_START));
  await lab.process.signal("TERM");
  await lab.process.ended;
  const restart = await timed(() => lab.run(LONGEST_START));
  const resettled = restart + await timed(() => lab.settled(LONGEST_START));
  const requests: WebFigures = JSON.parse(
    await server.ok(Deno.execPath(), "run", "-A", "--no-check", REQUESTS, API, lab.token, `${DATA}/ca.pem`),
  );
  const child = (await server.sh(`pgrep -P ${lab.process.pid} -f ' web ' | head -1`)).trim();
  const resident = async (pid: number | string) =>
    Number(/^VmRSS:\s+(\d+)/m.exec(await server.sh(`cat /proc/${pid}/status`))![1]) / 1_000;
  return {
    ...requests,
    start,
    settled,
    restart,
    resettled,
    web: await resident(child),
    keeper: await resident(lab.process.pid),
  };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1_000;
}

/**
 * Reads the numbers of devices.
 *
 * @returns Undefined if the usage must be shown.
 * @throws {TypeError} If an argument is invalid.
 */
export function parseSizes(args: string[]): number[] | undefined {
  const { values: { help }, positionals } = parseArgs({
    args,
    options: { help: { type: "boolean", default: false } },
    allowPositionals: true,
  });
  if (help) return undefined;
  if (positionals.length === 0) return SIZES;
  return positionals.map((text) => {
    const size = Number(text);
    if (/^\d+$/.test(text) && size >= 1 && size <= MAX_DEVICES) return size;
    throw new TypeError(`"${text}" is not a number of devices from 1 to ${MAX_DEVICES}`);
  });
}

async function main(args: string[]): Promise<void> {
  const sizes = parseSizes(args);
  if (!sizes) return console.log(USAGE);
  const all = new Map<number, Figures>();
  for (const size of sizes) {
    all.set(size, await measure(size));
    console.error(`${size}: ${JSON.stringify(all.get(size))}`);
  }
  const row = (name: string, value: (figures: Figures) => string) =>
    console.log(`| ${[name, ...[...all.values()].map(value)].join(" | ")} |`);
  console.log(`${await machine()}\n`);
  console.log(`| | ${sizes.map((size) => `${size.toLocaleString("en")} devices`).join(" | ")} |`);
  console.log(`| --- |${" --- |".repeat(sizes.length)}`);
  row("first start until it listens", ({ start }) => `${start.toFixed(1)} s`);
  row("until the interface has all peers", ({ settled }) => `${settled.toFixed(1)} s`);
  row("start with the peers at the interface", ({ restart }) => `${restart.toFixed(1)} s`);
  row("until they are compared", ({ resettled }) => `${resettled.toFixed(1)} s`);
  for (const name of Object.keys([...all.values()][0]!.requests)) {
    row(name, ({ requests }) => requests[name]!.map((value) => value.toFixed(1)).join(" / "));
  }
  row("lists a second, 16 at once", ({ listsPerSecond }) => listsPerSecond.toFixed(0));
  row("memory of the web process", ({ web }) => `${web.toFixed(0)} MB`);
  row("memory of the keeper", ({ keeper }) => `${keeper.toFixed(0)} MB`);
}

if (import.meta.main) await runBench(main);
