/**
 * Repeats what has failed, each with its own growing pauses.
 *
 * @module
 */

/** Milliseconds until the first retry; each failure doubles it. */
const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 60_000;

/** Things that are not done, by name. One that keeps failing does not delay the others. */
export class Retries implements Disposable {
  readonly #retry: (name: string) => void;
  /** For each that is not done: milliseconds until the retry after its next failure. */
  readonly #waits = new Map<string, number>();
  readonly #timers = new Map<string, { timer: ReturnType<typeof setTimeout>; due: number }>();
  readonly #longestWait: number;
  #closed = false;

  /**
   * @param retry Begins a retry. It calls `begin` and then `end`, or `failed`.
   * @param longestWait Milliseconds.
   */
  constructor(retry: (name: string) => void, longestWait = LONGEST_WAIT) {
    this.#retry = retry;
    this.#longestWait = longestWait;
  }

  /** Whether everything is done. */
  get isEmpty(): boolean {
    return this.#waits.size === 0;
  }

  /** Something is being done now. */
  begin(name: string): void {
    clearTimeout(this.#timers.get(name)?.timer);
    this.#timers.delete(name);
    if (!this.#waits.has(name)) this.#waits.set(name, FIRST_WAIT);
  }

  /** The cause of earlier failures is gone, so the next pause is a short one. */
  renew(name: string): void {
    if (this.#waits.has(name)) this.#waits.set(name, FIRST_WAIT);
  }

  /** Something is done, unless it has failed again since it began. */
  end(name: string): void {
    if (!this.#timers.has(name)) this.#waits.delete(name);
  }

  /** Something has failed. It is retried later. */
  failed(name: string): void {
    if (this.#closed || this.#timers.has(name)) return;
    const wait = this.#waits.get(name) ?? FIRST_WAIT;
    this.#waits.set(name, Math.min(2 * wait, this.#longestWait));
    this.#schedule(name, wait);
  }

  /**
   * Plans a retry. Until then, it is not done.
   *
   * @param wait Milliseconds from now.
   * @returns False if it is retried before that in any case.
   */
  plan(name: string, wait: number): boolean {
    const planned = this.#timers.get(name);
    if (this.#closed || planned && planned.due <= performance.now() + wait) return false;
    if (!this.#waits.has(name)) this.#waits.set(name, FIRST_WAIT);
    clearTimeout(planned?.timer);
    this.#schedule(name, wait);
    return true;
  }

  #schedule(name: string, wait: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(name);
      this.#retry(name);
    }, wait);
    this.#timers.set(name, { timer, due: performance.now() + wait });
  }

  /** Stops its timers. */
  [Symbol.dispose](): void {
    this.#closed = true;
    for (const { timer } of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}
