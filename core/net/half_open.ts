/**
 * Programs that have connected to a proxy and whose connection through the tunnel is not established yet. Each takes
 * memory and a descriptor and is not authenticated, so their number and their time are limited.
 *
 * @module
 */

import { closeQuietly } from "./relay.ts";

/** One program that has not been connected yet. */
export interface HalfOpen extends Disposable {
  /** Aborted when the program is disconnected. */
  readonly signal: AbortSignal;
  /**
   * The program has sent its request, and its time begins again. From now on only the signal is aborted, so that the
   * program can receive the reason of a failure.
   */
  connecting(): void;
}

/** All of them, the longest waiting first. */
export class HalfOpenPrograms {
  readonly #waiting = new Set<Waiting>();
  #hungUp = 0;
  /** One for all. Most programs have left long before their time is over. */
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param max The maximum number. One more replaces the one that has waited longest.
   * @param milliseconds The maximum time of each.
   */
  constructor(readonly max: number, readonly milliseconds: number) {}

  /** How many there are. */
  get count(): number {
    return this.#waiting.size;
  }

  /** How many were disconnected. */
  get hungUp(): number {
    return this.#hungUp;
  }

  /** Adds a program that has connected. It is removed when the result is disposed of. */
  enter(program: { close(): void }): HalfOpen {
    if (this.#waiting.size >= this.max) {
      const [oldest] = this.#waiting;
      this.#hangUp(oldest!);
    }
    const waiting = new Waiting(program, this.milliseconds, (waiting, late) => {
      if (this.#waiting.delete(waiting) && late) this.#hungUp++;
    });
    this.#waiting.add(waiting);
    if (this.#timer === undefined) this.#startTimer();
    return waiting;
  }

  /** Disconnects all of them. */
  close(): void {
    for (const waiting of this.#waiting) this.#hangUp(waiting);
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Waits until the first one's time is over. */
  #startTimer(): void {
    const first = Math.min(...[...this.#waiting].map(({ deadline }) => deadline));
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const now = performance.now();
      for (const waiting of this.#waiting) {
        if (waiting.deadline <= now) waiting.hangUp("a program took too long");
      }
      if (this.#waiting.size > 0) this.#startTimer();
    }, Math.ceil(first - performance.now()));
  }

  #hangUp(waiting: Waiting): void {
    waiting.hangUp("a program was disconnected before it was connected");
  }
}

class Waiting implements HalfOpen {
  #controller: AbortController | undefined;
  #reason: Error | undefined;
  readonly #program: { close(): void };
  readonly #left: (waiting: Waiting, late: boolean) => void;
  #connecting = false;
  /** When its time is over, in milliseconds on the clock of `performance`. */
  deadline: number;

  constructor(
    program: { close(): void },
    readonly milliseconds: number,
    left: (waiting: Waiting, late: boolean) => void,
  ) {
    this.#program = program;
    this.#left = left;
    this.deadline = performance.now() + milliseconds;
  }

  get signal(): AbortSignal {
    const controller = this.#controller ??= new AbortController();
    if (this.#reason) controller.abort(this.#reason);
    return controller.signal;
  }

  connecting(): void {
    this.#connecting = true;
    this.deadline = performance.now() + this.milliseconds;
  }

  hangUp(why: string): void {
    this.#left(this, true);
    this.#reason = new Deno.errors.TimedOut(why);
    this.#controller?.abort(this.#reason);
    if (!this.#connecting) closeQuietly(this.#program);
  }

  [Symbol.dispose](): void {
    this.#left(this, false);
    // A program may stay connected for days.
    this.#controller = undefined;
  }
}
