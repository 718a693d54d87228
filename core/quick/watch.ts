/**
 * The process for `# wgd: Repair = on`, which restores what other programs remove. It checks only addresses, routes,
 * rules and DNS, so it works with every WireGuard implementation.
 *
 * @module
 */

import { ChangeWatch } from "../client/kernel_changes.ts";
import { isRunning, type Process, processOf } from "../client/process.ts";
import { systemDifferences } from "./comparison.ts";
import { findInterface, whereabouts } from "./find_interface.ts";
import { type Journal, JournalFile } from "./journal.ts";
import type { SystemDifference } from "./plan/differences.ts";
import { planReload } from "./plan/reload.ts";
import { RESOLV_CONF } from "./resolv_conf.ts";
import { baseActions, runEveryStep } from "./run_steps.ts";
import { QuickError, type QuickRunOptions } from "./source.ts";
import { findTarget } from "./target.ts";

/** Milliseconds to wait for further changes after one, since a program often makes several. */
const CHANGE_PAUSE = 50;
/**
 * Milliseconds between two checks without a notification, because changes of kernel parameters and of DNS are not
 * reported.
 */
export const CHECK_INTERVAL = 30_000;
/**
 * The maximum number of repairs within a minute. If more are needed, another program keeps undoing them, and the
 * process gives up.
 */
const ROUNDS = 10;
const MINUTE = 60_000;
/** Milliseconds between two attempts to lock a record. */
const RETRY = 20;
/** Milliseconds to wait for the lock of the record when the process begins. */
const LOCK_TIMEOUT = 10_000;

/**
 * Repairs an interface until it ends.
 *
 * @param target As for `quickDown`.
 * @param options `announce` is called with each step, `warn` with each difference and each failure.
 * @throws {QuickError} If `quickUp` did not bring it up, or another process repairs it.
 */
export async function quickWatch(target: string, options: QuickRunOptions = {}): Promise<void> {
  const { name } = await findTarget(target, options);
  const self = processOf(Deno.pid)!;
  let watch: ChangeWatch | undefined;
  {
    using file = await open(name, LOCK_TIMEOUT);
    const journal = await file?.read();
    if (!file) throw new QuickError(`another "wgd quick" is working on \`${name}'`, "wait until it ends");
    if (!journal || !await findInterface(journal)) {
      throw new QuickError(`\`${name}' was not brought up by "wgd quick up"`, "bring it up first");
    }
    const { repair } = journal;
    if (repair && isRunning(repair)) {
      throw new QuickError(`process ${repair.pid} already repairs \`${name}'`);
    }
    watch = new ChangeWatch(journal.index, RESOLV_CONF);
    await file.write({ ...journal, repair: self });
  }
  using changes = watch;
  const repair = new Repair(name, self, options);
  while (await repair.look()) {
    await changes.wait(CHECK_INTERVAL);
    await pause(CHANGE_PAUSE);
    changes.drain();
  }
}

/** The work of the process. */
class Repair {
  /** Times of the repairs within the last minute, in milliseconds. */
  #rounds: number[] = [];
  readonly #warn: (text: string) => void;

  constructor(readonly name: string, readonly self: Process, readonly options: QuickRunOptions) {
    const { warn = () => {} } = options;
    this.#warn = (text) => warn(`${new Date().toISOString()} ${name}: ${text}`);
  }

  /** Restores what is missing. @returns False if the process must end. */
  async look(): Promise<boolean> {
    using file = (await open(this.name, Infinity))!;
    const journal = await file.read();
    const { pid, startTime } = journal?.repair ?? {};
    if (!journal || pid !== this.self.pid || startTime !== this.self.startTime) return false;
    const found = await findInterface(journal);
    if (!found) return false;
    // If the interface was moved, its addresses and routes there are not restored.
    if (journal.reloading || !journal.complete || whereabouts(found, this.name) !== undefined) return true;
    const missing = await systemDifferences(journal);
    if (missing.length === 0) return true;
    const now = performance.now();
    this.#rounds = [...this.#rounds.filter((round) => now - round < MINUTE), now];
    if (this.#rounds.length > ROUNDS) return await this.#giveUp(file, journal, missing);
    await this.#putBack(file, journal, missing);
    return true;
  }

  async #putBack(file: JournalFile, journal: Journal, missing: readonly SystemDifference[]): Promise<void> {
    const { undo, redo } = planReload(journal.steps, journal.steps, true, missing);
    const actions = { ...baseActions(this.options), warn: this.#warn };
    await runEveryStep(this.name, undo, actions);
    await runEveryStep(this.name, redo, actions);
    const left = new Set((await systemDifferences(journal)).map(({ key, message }) => key + message));
    const outcomes = missing.map(({ key, message }) =>
      `${message}: ${left.has(key + message) ? "could not be restored" : "restored"}`
    );
    for (const outcome of outcomes) this.#warn(outcome);
    const last = { at: new Date().toISOString(), outcomes };
    await file.write({ ...journal, repair: { ...this.self, last } });
  }

  async #giveUp(
    file: JournalFile,
    journal: Journal,
    missing: readonly SystemDifference[],
  ): Promise<false> {
    const what = missing.map(({ message }) => message).join("; ");
    const gaveUp = `something was removed more than ${ROUNDS} times within a minute; now ${what}`;
    this.#warn(`Repair gave up: ${gaveUp}`);
    const last = journal.repair?.last;
    await file.write({ ...journal, repair: { ...this.self, ...(last && { last }), gaveUp } });
    return false;
  }
}

async function open(name: string, timeout: number): Promise<JournalFile | undefined> {
  const start = performance.now();
  for (;;) {
    const file = await JournalFile.open(name);
    if (file || performance.now() - start > timeout) return file;
    await pause(RETRY);
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
