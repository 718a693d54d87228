/**
 * Many calls of `ip` as one: addresses and routes of a plan may be thousands, and each process takes milliseconds.
 *
 * @module
 */

import type { Step } from "./plan/step.ts";
import { runProgram } from "./run_program.ts";

/** Steps that are done together: one, or several that one call of `ip` can do. */
export type Batch = readonly [Step, ...Step[]];

/** How the lines of a batch have ended. */
export type BatchResult =
  | { readonly kind: "done" }
  /** Those before this one are done, it and those behind it are not. */
  | { readonly kind: "failed"; readonly at: number }
  /** Somewhere in between. */
  | { readonly kind: "unknown" };

/**
 * Joins steps that follow each other. Only addresses and routes of an interface are joined: to take one back that was
 * never made harms nobody, so it does not matter how far a batch came before it was killed.
 */
export async function* batches(steps: Iterable<Step> | AsyncIterable<Step>): AsyncGenerator<Batch, void> {
  let batch: [Step, ...Step[]] | undefined;
  let kind: string | undefined;
  for await (const step of steps) {
    const next = joinable(step);
    if (batch && next === kind) {
      batch.push(step);
      continue;
    }
    if (batch) yield batch;
    batch = undefined;
    kind = next;
    // Any other step is done before the one after it is asked for.
    if (next === undefined) yield [step];
    else batch = [step];
  }
  if (batch) yield batch;
}

/** What steps must have in common to be done by one call: the options before the words; nothing if it is none of them. */
function joinable(step: Step): string | undefined {
  if (step.kind !== "command" || step.warning !== undefined) return undefined;
  const [program, family, object] = step.command;
  if (program !== "ip" || object !== "address" && object !== "route") return undefined;
  return `${family} ${step.optional ?? false}`;
}

/** Does all lines, up to the first that fails. What `ip` says about that one is left to a call for it alone. */
export async function runBatch(batch: Batch, signal?: AbortSignal): Promise<BatchResult> {
  const { code, errors } = await call(batch, [], signal);
  if (code === 0) return { kind: "done" };
  const line = /^Command failed .*:(\d+)$/m.exec(errors)?.[1];
  return line === undefined ? { kind: "unknown" } : { kind: "failed", at: Number(line) - 1 };
}

/** Does all lines, also those behind one that fails. @returns What `ip` says. */
export async function runWholeBatch(batch: Batch): Promise<string> {
  const { errors } = await call(batch, ["-force"]);
  return errors.replace(/^Command failed .*\n/gm, "");
}

async function call(
  batch: Batch,
  options: readonly string[],
  signal?: AbortSignal,
): Promise<{ code: number; errors: string }> {
  const lines = batch.map((step) => step.kind === "command" ? step.command.slice(1) : []);
  const family = lines[0]![0]!;
  const input = lines.map(([, ...words]) => `${words.join(" ")}\n`).join("");
  let errors = "";
  const onErrors = (text: string) => errors += text;
  const code = await runProgram(["ip", family, ...options, "-batch", "-"], { input, signal, onErrors });
  return { code, errors };
}

let supported: Promise<boolean> | undefined;

/** Whether this machine's `ip` can do that; busybox's cannot. */
export function hasBatch(): Promise<boolean> {
  return supported ??= runProgram(["ip", "-batch", "/dev/null"], { onErrors() {} })
    .then((code) => code === 0, () => false);
}
