/**
 * Runs engines on the event loop of a program, without another thread. An engine gets a turn when something is ready.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import type { Host } from "../engine/doors.ts";

/** A source that an engine waits for. */
export interface Source {
  /** Whether it is ready. */
  readonly pending: boolean;
  /** Notifies the engine. */
  ready(): void;
}

/** What a host calls. */
export interface Turns {
  /** Runs one turn of the engine and what follows from it. */
  turn(): void;
  /** When a turn is due at the latest, in milliseconds on the host's clock; Infinity for never. */
  readonly deadline: number;
}

/** The longest time that `setTimeout` accepts. */
const MAX_TIMEOUT = 2 ** 31 - 1;

/** The event loop as an engine's host. */
export class EventLoopHost implements Host {
  readonly #sources: Source[] = [];
  #turns: Turns | null = null;
  #alarmAt = Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = Infinity;
  #scheduled = false;
  #running = false;

  /** Begins to give turns. */
  start(turns: Turns): void {
    this.#turns = turns;
    this.wake();
  }

  /** Stops giving turns. */
  stop(): void {
    this.#turns = null;
    clearTimeout(this.#timer);
  }

  /** Whether it gives turns. */
  get running(): boolean {
    return this.#turns !== null;
  }

  /** Adds a source, which is polled in each turn. */
  add(source: Source): void {
    this.#sources.push(source);
  }

  /** Removes a source. */
  remove(source: Source): void {
    const at = this.#sources.indexOf(source);
    if (at >= 0) this.#sources.splice(at, 1);
  }

  boot(): number {
    return performance.now();
  }

  wall(): bigint {
    return BigInt(Date.now()) * 1_000_000n;
  }

  dispatch(): void {
    for (const source of this.#sources) if (source.pending) source.ready();
  }

  alarm(at: number): void {
    this.#alarmAt = at;
    this.#setTimer();
  }

  /**
   * Something is ready. A turn follows as soon as the program's current task ends, so that the packets of one task
   * leave together.
   */
  wake(): void {
    if (this.#scheduled || this.#running) {
      this.#scheduled = true;
      return;
    }
    this.#schedule();
  }

  /** Something has arrived from outside. A turn is run now, unless one is running. */
  turnNow(): void {
    if (this.#running) this.#scheduled = true;
    else this.#turn();
  }

  #schedule(): void {
    this.#scheduled = true;
    // After everything that is ready now, so that datagrams which have arrived together are served in one turn. A message
    // channel would starve the sockets.
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    if (this.#turns === null) return;
    this.#scheduled = false;
    this.#running = true;
    try {
      this.#turns.turn();
    } finally {
      this.#running = false;
    }
    if (this.#scheduled || this.#sources.some((source) => source.pending)) this.#schedule();
    this.#setTimer();
  }

  /** When the next turn is due. */
  get #due(): number {
    return Math.min(this.#alarmAt, this.#turns?.deadline ?? Infinity);
  }

  #setTimer(): void {
    if (this.#turns === null) return;
    const at = this.#due;
    // Deadlines move with almost every packet, mostly to a later time. A timer that runs out early sets the next one.
    if (at >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    const wait = Math.min(MAX_TIMEOUT, Math.max(0, Math.ceil(at - this.boot())));
    this.#timer = setTimeout(() => {
      this.#timerAt = Infinity;
      const now = this.boot();
      if (this.#due > now) return this.#setTimer();
      if (this.#alarmAt <= now) this.#alarmAt = Infinity;
      this.#turn();
    }, wait);
  }
}
