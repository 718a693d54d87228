/**
 * Joins many calls of `ip` into one. A plan may have thousands of addresses and routes, and each process takes
 * milliseconds.
 *
 * @module
 */

import type { Step } from "./plan/step.ts";
import { runProgram } from "./run_program.ts";

/** Steps that are done together: one step, or several that one call of `ip` can do. */
export type Batch = readonly [Step, ...Step[]];

/** The result of a batch. */
export type BatchResult =
  | { readonly kind: "done" }
  /** The line that failed. The lines before it are done; this line and those after it are not. */
  | { readonly kind: "failed"; readonly at: number }
  /** It is not known which lines are done. */
  | { readonly kind: "unknown" };

/**
 * Joins consecutive steps. It joins only addresses and routes of an interface. Removing one that was never made does no
 * harm, so it does not matter at which line a batch was killed.
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
    // Any other step is done before the next one is requested.
    if (next === undefined) yield [step];
    else batch = [step];
  }
  if (batch) yield batch;
}

/** The options that steps must share to be done by one call; undefined if a step cannot be joined. */
function joinable(step: Step): string | undefined {
  if (step.kind !== "command" || step.warning !== undefined) return undefined;
  const [program, family, object] = step.command;
  if (program !== "ip" || object !== "address" && object !== "route") return undefined;
  return `${family} ${step.optional ?? false}`;
}

/** Runs all lines up to the first that fails. Calling `ip` for only that line then shows its error. */
export async function runBatch(batch: Batch, signal?: AbortSignal): Promise<BatchResult> {
  const { code, errors } = await call(batch, [], signal);
  if (code === 0) return { kind: "done" };
  const line = /^Command failed .*:(\d+)$/m.exec(errors)?.[1];
  return line === undefined ? { kind: "unknown" } : { kind: "failed", at: Number(line) - 1 };
}

/** Runs all lines, even after one fails. @returns The output of `ip`. */
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

/** Whether this machine's `ip` supports batches. That of busybox does not. */
export function hasBatch(): Promise<boolean> {
  return supported ??= runProgram(["ip", "-batch", "/dev/null"], { onErrors() {} })
    .then((code) => code === 0, () => false);
}
