/**
 * The steps from an interface that one plan made to one that another plan would make.
 *
 * @module
 */

import type { SystemDifference } from "./differences.ts";
import { distinct, ipWords, reversal, type Step, stepText } from "./step.ts";

/** The steps of a reload. */
export interface Reload {
  /** Undoes the steps that should no longer be in effect. */
  readonly undo: readonly Step[];
  /** The new steps, each with the step that undoes it while the interface stays. */
  readonly redo: readonly Step[];
  /** Restores the old state after `undo`, and after the undoing of `redo`. */
  readonly restore: readonly Step[];
}

/**
 * Plans `reload`. Hooks are not called; the caller changes keys and peers.
 *
 * @param known Whether all of `done` is in effect except for the differences. If not, all of it is undone, and all
 * steps of the new plan are done again.
 * @param differences What other programs removed or changed.
 */
export function planReload(
  done: readonly Step[],
  wanted: readonly Step[],
  known = true,
  differences: readonly SystemDifference[] = [],
): Reload {
  const steps = (list: readonly Step[]) =>
    list.filter((step) => step.kind === "command" || step.kind === "resolv-conf");
  const [had, has] = known
    ? [new Set(done.map(stepText)), new Set(wanted.map(stepText))]
    : [new Set(), new Set()];
  const gone = steps(done).filter((step) => !has.has(stepText(step)));
  // With an interface's last address of a family, the kernel removes all of its routes of that family.
  const families = gone.filter((step) => ipWords(step)[2] === "address").map((step) => ipWords(step)[1]);
  const flushed = (step: Step) => ipWords(step)[2] === "route" && families.includes(ipWords(step)[1]);
  const fresh = steps(wanted).filter((step) => !had.has(stepText(step)) || flushed(step));
  const missing = known ? differences : [];
  const first = missing.flatMap(({ undo }) => undo);
  const removed = new Set([...gone, ...first].map(stepText));
  const touched = steps(done).filter((step) =>
    removed.has(stepText(step)) || flushed(step) || removed.has(stepText(reversal(step) ?? step))
  );
  return {
    undo: distinct([...first, ...gone.toReversed().flatMap((step) => reversal(step) ?? [])], stepText),
    redo: distinct([...missing.flatMap(({ redo }) => redo), ...fresh].map(whileRunning), stepText),
    // After a killed reload, steps are recorded twice. A rule that is made twice exists twice.
    restore: distinct(touched, (step) => stepText(reversal(step) ?? step)).map(whileRunning),
  };
}

/** The form of a step for an interface that is up. */
function whileRunning(step: Step): Step {
  if (step.kind !== "command") return step;
  const undo = reversal(step);
  const command = ipWords(step)[2] === "route"
    ? step.command.map((word) => word === "add" ? "replace" : word)
    : step.command;
  return { ...step, command, ...(undo && { undo }) };
}
