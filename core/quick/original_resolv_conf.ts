/**
 * The /etc/resolv.conf from before an interface replaced it. The interface's record has the only copy. The record keeps
 * it until the file is restored, or until the record of an interface that has replaced the file since has it.
 *
 * @module
 */

import type { FileError } from "../file_error.ts";
import { type Journal, JournalFile, journals } from "./journal.ts";
import { adviseResolvConf, isOwned, isResolvConf, RESOLV_CONF, type ResolvConfStep } from "./resolv_conf.ts";
import type { Actions } from "./run_steps.ts";
import { QuickError } from "./source.ts";

/** Milliseconds that another interface's record may be in use. */
const RECORD_TIMEOUT = 10_000;

/** Records whether the original was restored while steps are undone. */
export class Restoration {
  #failed: FileError | undefined;

  /** The same actions, with a check of their result. */
  watch(actions: Actions): Actions {
    return { ...actions, onNotRestored: (error) => this.#failed = error };
  }

  /**
   * Deletes a record when all of it was undone. If the original was not restored, the record stays and keeps it.
   *
   * @returns The error to report, if the original was not restored.
   */
  async finish(
    file: JournalFile,
    { pending = [], process: _, repair: __, ...journal }: Journal,
  ): Promise<QuickError | undefined> {
    if (!this.#failed) return void await file.remove();
    const steps = [...journal.steps, ...pending].filter(isResolvConf);
    await file.write({ ...journal, index: 0, complete: false, steps });
    return notRestored(this.#failed, file, `wgd quick down ${journal.name}`);
  }

  /**
   * Makes sure that the original was restored.
   *
   * @param again The command to call again if it is not.
   * @throws {QuickError} If it is not.
   */
  check(file: JournalFile, again: string): void {
    if (this.#failed) throw notRestored(this.#failed, file, again);
  }
}

function notRestored(cause: FileError, { path }: JournalFile, again: string): QuickError {
  const advice = adviseResolvConf(cause);
  return new QuickError(
    `cannot restore ${RESOLV_CONF}: ${cause.reason}`,
    `${
      advice === undefined ? "" : `${advice}; then `
    }call ${again} again; ${path} keeps what was there before`,
    { cause },
  );
}

/**
 * Moves the original to the record of the interface that has replaced the file since, if there is one. Called before an
 * interface's record is deleted or loses the original.
 *
 * @throws {QuickError} If the other interface's record is in use for long.
 */
export async function handOverResolvConf({ name, steps, pending = [] }: Journal): Promise<void> {
  const original = [...steps, ...pending].find(isResolvConf)?.undo;
  if (original?.kind !== "resolv-conf") return;
  for (const candidate of await journals()) {
    // An interface that is coming up may be about to replace the file.
    const matters = candidate.name !== name && (!candidate.complete || replacedAfter(name, candidate) >= 0);
    if (!matters) continue;
    using file = await openPatiently(candidate.name, name);
    // It may have changed or ended before we locked it.
    const other = await file.read();
    const index = other ? replacedAfter(name, other) : -1;
    if (!other || index < 0) continue;
    const step = other.steps[index] as ResolvConfStep;
    other.steps[index] = { ...step, undo: { ...original, owner: other.name } };
    await file.write(other);
  }
}

/** The step of another interface that has replaced this interface's lines. */
function replacedAfter(name: string, { steps }: Journal): number {
  return steps.findIndex((step) =>
    isResolvConf(step) && step.undo?.kind === "resolv-conf" && isOwned(step.undo.content, name)
  );
}

async function openPatiently(other: string, name: string): Promise<JournalFile> {
  const start = performance.now();
  for (;;) {
    const file = await JournalFile.open(other);
    if (file) return file;
    if (performance.now() - start > RECORD_TIMEOUT) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new QuickError(
    `another "wgd quick" is working on \`${other}', which replaced ${RESOLV_CONF} after \`${name}'`,
    "wait until it ends, then try again",
  );
}
