/**
 * Compares parts of wgd with other implementations: `deno task bench:micro [WORD…]`, all groups or those whose titles
 * contain one of the words.
 *
 * All cases of a group take turns of a few milliseconds. Read the ratios, which are between consecutive turns. Figures
 * differ between machines and between runs.
 *
 * @module
 */

import { AEAD } from "./micro_aead.ts";
import { machine } from "./machine.ts";
import { PARTS } from "./micro_parts.ts";
import { median } from "./statistics.ts";

/** One of the compared implementations. */
export interface Case {
  readonly name: string;
  /** Bytes that an operation processes, for rates. */
  readonly bytes?: number;
  /** The most operations at a time, for those that need memory for each. */
  readonly limit?: number;
  /** Called before that many operations; it is not timed. */
  prepare?(operations: number): void;
  run(operations: number): void;
}

/** Implementations of the same operation. */
export interface Group {
  readonly title: string;
  /** The others are compared with the first. */
  readonly cases: readonly Case[];
}

const ROUNDS = 25;
/** Milliseconds of a turn. */
const TURN = 8;
/** Turns until V8 has compiled the code. */
const WARM_UP = 4;

/** Nanoseconds per operation. */
function time({ prepare, run }: Case, operations: number): number {
  prepare?.(operations);
  const start = performance.now();
  run(operations);
  return (performance.now() - start) * 1e6 / operations;
}

/** The number of operations in a turn. */
function calibrate(one: Case): number {
  let operations = 1;
  for (let turn = 0; turn < WARM_UP; turn++) {
    for (;;) {
      const taken = time(one, operations) * operations / 1e6;
      if (taken >= TURN / 2 || operations === one.limit) break;
      const factor = Math.min(10, Math.max(2, TURN / Math.max(taken, 0.01)));
      operations = Math.min(Math.ceil(operations * factor), one.limit ?? Infinity);
    }
  }
  return operations;
}

/** Nanoseconds per operation of each case, one row per round. */
function measure(cases: readonly Case[]): number[][] {
  const operations = cases.map(calibrate);
  return Array.from({ length: ROUNDS }, () => cases.map((one, i) => time(one, operations[i]!)));
}

function row({ title, cases }: Group, rounds: readonly number[][], i: number): string[] {
  const own = cases[0]!, { name, bytes } = cases[i]!;
  const times = rounds.map((times) => times[i]!);
  // If cases process different amounts of data, the time per byte counts.
  const scale = (bytes ?? 1) / (own.bytes ?? 1);
  const ratios = rounds.map((times) => times[i]! / scale / times[0]!);
  const best = Math.min(...times) / scale / Math.min(...rounds.map(([first]) => first!));
  return [
    i === 0 ? title : "",
    name,
    duration(median(times)),
    duration(Math.min(...times)),
    bytes === undefined ? "" : (bytes / median(times)).toFixed(2),
    ...(i === 0 ? ["", ""] : [median(ratios).toFixed(2) + "×", best.toFixed(2) + "×"]),
  ];
}

function duration(nanoseconds: number): string {
  if (nanoseconds < 1e3) return `${nanoseconds.toPrecision(3)} ns`;
  return nanoseconds < 1e6
    ? `${(nanoseconds / 1e3).toPrecision(3)} µs`
    : `${(nanoseconds / 1e6).toPrecision(3)} ms`;
}

if (import.meta.main) {
  const chosen = [...AEAD, ...PARTS].filter(({ title }) =>
    Deno.args.length === 0 || Deno.args.some((word) => title.toLowerCase().includes(word.toLowerCase()))
  );
  const heads = ["", "who", "median", "best", "GB/s", "wgd is faster by, median", "by the best of each"];
  console.log(`| ${heads.join(" | ")} |\n|${heads.map((_, i) => i < 2 ? " --- " : " --: ").join("|")}|`);
  for (const group of chosen) {
    const rounds = measure(group.cases);
    for (const i of group.cases.keys()) console.log(`| ${row(group, rounds, i).join(" | ")} |`);
  }
  console.log(`\n${ROUNDS} rounds of ${TURN} ms each. ${await machine()}; V8 ${Deno.version.v8}.`);
}
