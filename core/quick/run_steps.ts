/**
 * Announces and runs the steps of a plan. If one fails, the steps before it are undone.
 *
 * @module
 */

import { FileError } from "../file_error.ts";
import { adviseMissing, adviseStep, adviseSysctl } from "./advice.ts";
import { type Batch, batches, hasBatch, runBatch, runWholeBatch } from "./ip_batch.ts";
import { ruleByRule } from "./plan/firewall.ts";
import { reversal, type Step } from "./plan/step.ts";
import { adviseResolvConf, RESOLV_CONF, type ResolvConfStep, writeResolvConf } from "./resolv_conf.ts";
import { runProgram } from "./run_program.ts";
import type { QuickRunOptions } from "./source.ts";
import { setSysctl } from "./sysctl.ts";

/** How steps are run. Actions that no step of a plan needs may be left out. */
export interface Actions {
  /** Announces a step, before it is done. */
  readonly announce: (text: string) => void;
  /** Called with a failure that is ignored. */
  readonly warn: (text: string) => void;
  /** Called with the finished steps and the next steps. If it throws, the work ends. */
  readonly record?: (begun: readonly Step[], done: readonly Step[]) => Promise<void>;
  /** Makes the interface. */
  readonly create?: () => Promise<void>;
  /** How `create` is announced. */
  readonly createEcho?: string;
  /** Configures keys and peers of the interface. */
  readonly configure?: () => Promise<void>;
  readonly configureEcho?: string;
  readonly setFwmark?: (mark: number) => Promise<void>;
  /** Ends the interface's process. */
  readonly end?: () => Promise<void>;
  /** Brings the file up to date. */
  readonly save?: () => Promise<void>;
  /** Whether a failure of a hook or of saving is only a warning. */
  readonly force?: boolean;
  /** Additional environment variables of hooks. */
  readonly hookEnvironment?: () => Promise<Readonly<Record<string, string>>>;
  /** Called if /etc/resolv.conf could not be restored. The later steps still run. */
  readonly onNotRestored?: (error: FileError) => void;
  /** Aborting it ends the work and the running program, and the steps are undone. */
  readonly signal: AbortSignal;
}

/** The shell with wg-quick's options for hooks: a command that fails ends the hook. */
const HOOK_SHELL = ["bash", "-e", "-o", "pipefail", "-O", "extglob", "-c"];

/**
 * A step failed. Its program has printed the reason to standard error, unless the program is missing.
 *
 * @example
 * ```ts ignore
 * import { quickUp, StepError } from "@wgd/wgd";
 * import { rejects } from "node:assert/strict";
 *
 * await Deno.writeTextFile("wg9.conf", "[Interface]\nPostUp = exit 3\n", { mode: 0o600 });
 * await rejects(quickUp("wg9.conf"), (error) => error instanceof StepError && error.code === 3);
 * ```
 */
export class StepError extends Error {
  /** "StepError". */
  override readonly name = "StepError";

  /**
   * Makes the error.
   *
   * @param step The step as it was announced.
   * @param code Exit code of the program.
   * @param hint What to do about it; undefined if the program's message is enough.
   * @param missing The program's name, if it is not installed.
   */
  constructor(
    readonly step: string,
    readonly code: number,
    readonly hint?: string,
    readonly missing?: string,
  ) {
    super(
      missing === undefined ? `"${step}" failed with exit code ${code}` : `${missing}: command not found`,
    );
  }
}

/** The actions that every plan has. */
export function baseActions({ announce = () => {}, warn = () => {}, signal }: QuickRunOptions): Actions {
  return { announce, warn, signal: signal ?? new AbortController().signal };
}

/**
 * Runs all steps, up to the first that fails.
 *
 * @param name The interface, for the steps' announcements.
 * @param steps Taken one by one: a later one may be planned while an earlier one is done.
 * @throws {StepError} If a program fails; everything done so far has then been undone.
 */
export async function runSteps(
  name: string,
  steps: Iterable<Step> | AsyncIterable<Step>,
  actions: Actions,
): Promise<void> {
  const undo: Step[] = [];
  const onDone = (step: Step) => void ("undo" in step && step.undo && undo.unshift(step.undo));
  let done: readonly Step[] = [];
  try {
    for await (const batch of batches(steps)) {
      actions.signal.throwIfAborted();
      await actions.record?.(batch, done);
      await runUntilFailure(name, batch, actions, onDone);
      done = batch;
    }
    await actions.record?.([], done);
    actions.signal.throwIfAborted();
  } catch (error) {
    await runEveryStep(name, undo, actions);
    throw error;
  }
}

/**
 * Runs the steps of a batch, with one call if `ip` can do that.
 *
 * @param onDone Called with each step that is done, or may be done.
 */
async function runUntilFailure(
  name: string,
  batch: Batch,
  actions: Actions,
  onDone: (step: Step) => void,
): Promise<void> {
  const { signal } = actions;
  let left: readonly Step[] = batch;
  while (isBatch(left) && await hasBatch()) {
    const result = await runBatch(left, signal);
    if (result.kind === "unknown" || signal.aborted) {
      left.forEach(onDone);
      signal.throwIfAborted();
      await takeBack(left);
      break;
    }
    const done = result.kind === "done" ? left : left.slice(0, result.at);
    for (const step of done) {
      actions.announce(describe(name, step, actions).echo);
      onDone(step);
    }
    if (result.kind === "done") return;
    // If it is called for this step only, it prints its own error and has its own exit code.
    const failed = left[result.at]!;
    await run(name, failed, actions, signal);
    onDone(failed);
    left = left.slice(result.at + 1);
  }
  for (const step of left) {
    await run(name, step, actions, signal);
    onDone(step);
  }
}

function isBatch(steps: readonly Step[]): steps is Batch {
  return steps.length > 1;
}

/** Undoes what a batch may have done, so that its steps can be done again. */
async function takeBack(batch: Batch): Promise<void> {
  const [first, ...rest] = batch.flatMap((step) => reversal(step) ?? []);
  if (first) await runWholeBatch([first, ...rest]);
}

/** Runs all steps, even after one fails or the work is interrupted: for steps that undo others. */
export async function runEveryStep(name: string, steps: readonly Step[], actions: Actions): Promise<void> {
  for await (const batch of batches(steps)) {
    if (!isBatch(batch) || !await hasBatch()) {
      for (const step of batch) await run(name, step, actions).catch(() => {});
      continue;
    }
    for (const step of batch) actions.announce(describe(name, step, actions).echo);
    await Deno.stderr.write(new TextEncoder().encode(await runWholeBatch(batch)));
  }
}

/** Announces steps without running them, with the input of their programs. */
export async function announceSteps(
  name: string,
  steps: Iterable<Step> | AsyncIterable<Step>,
  actions: Actions,
): Promise<void> {
  for await (const step of steps) {
    const { echo, input = "" } = describe(name, step, actions);
    actions.announce(echo);
    for (const line of input.split("\n").filter(Boolean)) actions.announce(`    ${line}`);
  }
}

/** A step's announcement, and the input of its program. */
export function describe(name: string, step: Step, actions: Actions): { echo: string; input?: string } {
  switch (step.kind) {
    case "create":
      return { echo: actions.createEcho ?? "" };
    case "configure":
      return { echo: actions.configureEcho ?? "" };
    case "end":
      return { echo: step.socket === undefined ? `kill ${step.pid}` : `rm -f ${step.socket}` };
    case "fwmark":
      return { echo: `wg set ${name} fwmark ${step.mark}` };
    case "hook":
      return { echo: step.script };
    case "save":
      return { echo: `wg showconf ${name}` };
    case "resolv-conf": {
      const { content } = step;
      if (content === null) return { echo: `rm ${RESOLV_CONF}` };
      if ("link" in content) return { echo: `ln -sf ${content.link} ${RESOLV_CONF}` };
      return { echo: `cat > ${RESOLV_CONF}`, input: content.text };
    }
    case "command":
      return {
        echo: step.echo ?? step.command.join(" "),
        ...(step.input !== undefined && { input: step.input }),
      };
  }
}

async function run(name: string, step: Step, actions: Actions, signal?: AbortSignal): Promise<void> {
  const { echo } = describe(name, step, actions);
  actions.announce(echo);
  try {
    await perform(name, step, echo, actions, signal);
  } catch (error) {
    const mayFail = actions.force && (step.kind === "hook" || step.kind === "save") && !signal?.aborted;
    if (!mayFail || !(error instanceof Error)) throw error;
    actions.warn(`Warning: ${error.message}; continuing without it`);
  }
}

async function perform(
  name: string,
  step: Step,
  echo: string,
  actions: Actions,
  signal: AbortSignal | undefined,
): Promise<void> {
  switch (step.kind) {
    case "create":
      return await actions.create?.();
    case "configure":
      return await actions.configure?.();
    case "end":
      return await actions.end?.();
    case "fwmark":
      return await actions.setFwmark?.(step.mark);
    case "save":
      return await actions.save?.();
    case "hook":
      return await spawn(name, [...HOOK_SHELL, step.script], step, {
        echo,
        signal,
        env: await actions.hookEnvironment?.(),
      });
    case "resolv-conf":
      return await replaceResolvConf(step, actions);
    case "command":
      try {
        return await spawn(name, step.command, step, { echo, signal });
      } catch (error) {
        if (!step.optional && step.warning === undefined) throw error;
        if (step.warning === undefined) return await undoRules(name, step, echo, signal);
        actions.warn(`Warning: ${(error as Error).message}\nhint: ${step.warning}`);
      }
  }
}

/** Deletes the firewall rules of a step one by one, because one of them is missing. */
async function undoRules(
  name: string,
  step: Step,
  echo: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const single of ruleByRule(step)) {
    if (single.kind !== "command") continue;
    await spawn(name, single.command, single, { echo, signal }).catch((error) => {
      if (!(error instanceof StepError)) throw error;
    });
  }
}

async function replaceResolvConf(step: ResolvConfStep, actions: Actions): Promise<void> {
  try {
    await writeResolvConf(step);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    if (step.owner !== undefined && actions.onNotRestored) return actions.onNotRestored(error);
    const advice = adviseResolvConf(error);
    const hint = `the tunnel works without its DNS servers${advice === undefined ? "" : `; ${advice}`}`;
    actions.warn(`Warning: ${error.message}\nhint: ${hint}`);
  }
}

async function spawn(
  name: string,
  command: readonly string[],
  step: Step,
  { echo, signal, env }: {
    echo: string;
    signal: AbortSignal | undefined;
    env?: Readonly<Record<string, string>> | undefined;
  },
): Promise<void> {
  if (command[0] === "sysctl") return await applySysctl(command.at(-1)!, echo);
  let code: number;
  try {
    const input = step.kind === "command" ? step.input : undefined;
    code = await runProgram(command, { input, env, signal });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const program = command[0]!;
    // As in a shell.
    throw new StepError(echo, 127, adviseMissing(program), program);
  }
  if (code !== 0) throw new StepError(echo, code, await adviseStep(name, step, code));
}

async function applySysctl(assignment: string, echo: string): Promise<void> {
  await setSysctl(assignment).catch((error) => {
    if (!(error instanceof FileError)) throw error;
    throw new StepError(echo, 1, adviseSysctl(assignment, error));
  });
}
