/**
 * The implementations that a benchmark compares.
 *
 * @module
 */

import {
  DEFAULT_LANES,
  type LaneCount,
  LANES_EXPECTED,
  mostLanes,
  parseLanes,
} from "../../core/config/lanes.ts";
import { type Implementation, wgdCommand } from "../netns/lab/tunnel.ts";
import { peer } from "../netns/peers/mod.ts";
import { run } from "../netns/lab/exec.ts";

/** An implementation, or another build of one. */
export interface Contender {
  /** Its column in the table. */
  readonly name: string;
  readonly implementation: Exclude<Implementation, "kernel">;
  /** A program to run in its place, as `PROGRAM --foreground NAME`. */
  readonly program?: string;
  /** Lanes of wgd; by default the same as for users. */
  readonly lanes?: LaneCount;
}

/** The contender to which the ratios refer. */
export const REFERENCE = "wireguard-go";

/**
 * Variables for a contender's processes.
 *
 * @param cores Slow cores of each contender. The programs themselves would use the number of the machine's processors.
 */
export function environment({ implementation, lanes }: Contender, cores?: number): Record<string, string> {
  if (implementation !== "wgd") return cores === undefined ? {} : { GOMAXPROCS: String(cores) };
  const count = lanes ?? DEFAULT_LANES;
  if (count !== "auto" || cores === undefined) return { WGD_LANES: String(count) };
  return { WGD_LANES: `auto:${mostLanes(count, cores)}` };
}

/**
 * The contenders that a benchmark found or built, and those that the caller adds.
 *
 * @param chosen Names of those to keep; none means all.
 * @param given `name=/path/to/program` each.
 * @param lanes Additional numbers of lanes with which wgd is measured.
 * @throws {TypeError} If one does not have this form, its program is missing, or a chosen one is unknown.
 */
export async function contenders(
  chosen: readonly string[],
  given: readonly string[],
  lanes: readonly string[],
): Promise<Contender[]> {
  const withLanes = lanes.map((text): Contender => {
    const count = parseLanes(text);
    if (count === undefined) {
      throw new TypeError(`"--lanes ${text}" is not a number of lanes: ${LANES_EXPECTED}`);
    }
    return { name: `wgd --lanes ${text}`, implementation: "wgd", lanes: count };
  });
  const added = given.map((text): Contender => {
    const [name, program] = text.split(/=(.*)/s);
    if (!name || !program) throw new TypeError(`"--peer ${text}" is not of the form name=/path/to/program`);
    return { name, program, implementation: "wireguard-go" };
  });
  for (const { name, program } of added) {
    const { isFile } = await Deno.stat(program!).catch(() => ({ isFile: false }));
    if (!isFile) throw new TypeError(`"--peer ${name}=${program}": there is no such program`);
  }
  const all: Contender[] = [
    { name: "wgd", implementation: "wgd" },
    ...withLanes,
    { name: "wireguard-go", implementation: "wireguard-go" },
    { name: "boringtun", implementation: "boringtun" },
    ...added,
  ];
  for (const name of chosen) {
    if (!all.some((contender) => contender.name === name)) {
      throw new TypeError(
        `There is no implementation "${name}" here\nhint: --peer ${name}=/path/to/program adds one`,
      );
    }
  }
  const kept = all.filter((contender) =>
    chosen.length === 0 || chosen.includes(contender.name) || withLanes.includes(contender)
  );
  // Found, or built, before anything is measured.
  for (const { implementation } of kept) if (implementation !== "wgd") await peer(implementation);
  return kept;
}

/** The version of a contender, in one line. */
export async function version({ implementation, program }: Contender): Promise<string> {
  const command = program ?? (implementation === "wgd" ? wgdCommand().join(" ") : undefined) ??
    (implementation === "wireguard-go" ? await peer("wireguard-go") : await peer("boringtun"));
  if (program === undefined && implementation === "wireguard-go") {
    // It reports no version. A Go executable contains the version of its module as text.
    const text = new TextDecoder("latin1").decode(await Deno.readFile(command));
    return /golang\.zx2c4\.com\/wireguard\t(v[0-9.a-z-]+)/.exec(text)?.[1] ?? "unknown version";
  }
  const { stdout, stderr } = await run([...command.split(" "), "--version"]);
  return (stdout || stderr).trim().split("\n")[0]!.slice(0, 60);
}
