/**
 * Doing what a plan says, step by step, each announced; when one fails, what came before is undone.
 *
 * @module
 */

import type { Step } from "./plan.ts";

/** What steps need that is not a program of the system; a plan without such steps needs none of it. */
export interface Actions {
  /** Announces a step, before it is done. */
  readonly announce: (text: string) => void;
  /** Makes the interface. */
  readonly create?: () => Promise<void>;
  /** How `create` is announced. */
  readonly createEcho?: string;
  /** Gives the interface keys and peers. */
  readonly configure?: () => Promise<void>;
  readonly configureEcho?: string;
  readonly setFwmark?: (mark: number) => Promise<void>;
  /** Ends the work between two steps: whoever asked for it wants it undone. */
  readonly signal: AbortSignal;
}

/** A step that failed; the program has said why on standard error. */
export class StepError extends Error {
  /** "StepError". */
  override readonly name = "StepError";

  /**
   * Makes the error.
   *
   * @param step As it was announced.
   * @param code Exit code of the program.
   */
  constructor(readonly step: string, readonly code: number) {
    super(`"${step}" failed with exit code ${code}`);
  }
}

/**
 * Does all steps.
 *
 * @param name The interface, for the steps' announcements.
 * @throws {StepError} If a program fails; everything done so far has then been undone.
 */
export async function apply(name: string, steps: readonly Step[], actions: Actions): Promise<void> {
  const undo: Step[] = [];
  try {
    for (const step of steps) {
      actions.signal.throwIfAborted();
      await run(name, step, actions);
      if ("undo" in step && step.undo) undo.unshift(step.undo);
    }
    actions.signal.throwIfAborted();
  } catch (error) {
    for (const step of undo) {
      await run(name, step, actions).catch(() => {});
    }
    throw error;
  }
}

async function run(name: string, step: Step, actions: Actions): Promise<void> {
  switch (step.kind) {
    case "create":
      actions.announce(actions.createEcho ?? "");
      return await actions.create?.();
    case "configure":
      actions.announce(actions.configureEcho ?? "");
      return await actions.configure?.();
    case "fwmark":
      actions.announce(`wg set ${name} fwmark ${step.mark}`);
      return await actions.setFwmark?.(step.mark);
    case "hook": {
      actions.announce(step.script);
      return await spawn(["bash", "-c", step.script], undefined, step.script);
    }
    case "command": {
      const echo = step.echo ?? step.command.join(" ");
      actions.announce(echo);
      try {
        return await spawn(step.command, step.input, echo);
      } catch (error) {
        if (!step.optional) throw error;
      }
    }
  }
}

async function spawn(command: readonly string[], input: string | undefined, echo: string): Promise<void> {
  const [program, ...args] = command;
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program!, {
      args,
      clearEnv: true,
      env: environment(),
      stdin: input === undefined ? "inherit" : "piped",
      stdout: "inherit",
      stderr: "inherit",
    }).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new StepError(`${program}: command not found`, 127);
  }
  if (input !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(input)).catch(() => {});
    await writer.close().catch(() => {});
  }
  const { code } = await child.status;
  if (code !== 0) throw new StepError(echo, code);
}

/** Ours, in the language that wg-quick asks programs to speak, without what the launcher of `dist/wgd` tells wgd alone. */
function environment(): Record<string, string> {
  const entries = Object.entries(Deno.env.toObject()).filter(([name]) => !/^(WGD_|DENO_)/.test(name));
  return { ...Object.fromEntries(entries), LC_ALL: "C" };
}
