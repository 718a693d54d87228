/**
 * Pauses before work that something else causes again and again.
 *
 * @module
 */

/** Milliseconds. */
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 60_000;
/** After this time without the cause, the next work is done at once. */
const FORGOTTEN_AFTER = 2 * LONGEST_PAUSE;

/** By name: some times without a pause, and then with one that doubles. */
export class GrowingPauses {
  readonly #free: number;
  readonly #last = new Map<string, { readonly due: number; readonly times: number }>();

  /** @param free How often the work is done without a pause. */
  constructor(free = 1) {
    this.#free = free;
  }

  /** The pause before the next work. @param now Milliseconds of a clock that is never set. */
  pause(name: string, now: number): number {
    const beyond = this.#times(name, now) - this.#free;
    return beyond < 0 ? 0 : Math.min(FIRST_PAUSE * 2 ** beyond, LONGEST_PAUSE);
  }

  /** The work is planned after its pause. */
  planned(name: string, now: number): void {
    this.#last.set(name, { due: now + this.pause(name, now), times: this.#times(name, now) + 1 });
  }

  /** The cause is gone. */
  forget(name: string): void {
    this.#last.delete(name);
  }

  #times(name: string, now: number): number {
    const last = this.#last.get(name);
    return last && now - last.due < FORGOTTEN_AFTER ? last.times : 0;
  }
}
