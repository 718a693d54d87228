/**
 * The lanes of an engine: how they start, become ready and end, their slots, and how they are told what to do.
 *
 * @module
 */

import type { LaneThreads } from "../doors.ts";
import { type Board, type Direction, LaneState, LaneWord, MAX_LANES, RING } from "./board.ts";
import type { Lane } from "./lane.ts";
import type { Multiplier } from "./multiplications.ts";
import type { KeyTable } from "./shared_keys.ts";
import { SLOTS } from "./slots.ts";

/** The lane of the engine's own thread. */
export const OWN = 0;

/** A lane that can be given jobs. */
export interface Worker extends KeyTable, Multiplier {
  readonly slots: number;
  /** Word of its words in the board. */
  readonly at: number;
  /** Free slots by direction. */
  readonly free: [number[], number[]];
}

/** All lanes. */
export class Crew {
  /** Lanes that can get jobs, the engine's own first; empty while there is no other. */
  readonly workers: Worker[] = [];
  /** The engine's own. */
  own: Lane | null = null;
  /** Whether one has failed. Then no lanes are used any more. */
  failed = false;
  readonly #board: Board;
  /** The numbers of lanes that were started and have not ended. */
  readonly #started: number[] = [];
  /** Lanes that can get jobs, by their numbers. */
  readonly #numbered: (Worker | undefined)[] = [];

  /** @param joined Called for each lane that can get jobs from now on. */
  constructor(readonly threads: LaneThreads, readonly joined: (worker: Worker) => void) {
    this.#board = threads.board;
  }

  /** The number of lanes that were started, including those that are not ready. */
  get started(): number {
    return this.#started.length;
  }

  /** Whether more lanes may be started. */
  get startable(): boolean {
    return !this.failed && this.#started.length < Math.min(this.threads.limit, MAX_LANES - 1);
  }

  /** The lane with a number. It can get jobs. */
  numbered(number: number): Worker {
    return this.#numbered[number]!;
  }

  /** The number of pending tasks of a lane. */
  waiting({ at }: Worker): number {
    const { words } = this.#board;
    return words[at + LaneWord.posted]! - Atomics.load(words, at + LaneWord.taken) | 0;
  }

  /** The lane for the next job of a direction, of those in use; -1 if none has a free slot. */
  pick(direction: Direction, using: number): number {
    let best = -1, least = Infinity;
    for (let i = 1; i <= using; i++) {
      const worker = this.workers[i]!;
      if (worker.free[direction].length === 0) continue;
      const waiting = this.waiting(worker);
      if (waiting < least) {
        best = i;
        least = waiting;
      }
    }
    // If all are busy, the engine does a job itself: at 2 jobs with one lane, at 8 with more.
    const help = using < 2 ? 2 : 8;
    if (least >= help && this.workers[OWN]!.free[direction].length > 0) return OWN;
    return best;
  }

  /** The lane in use, except the engine's own, that has the fewest tasks; undefined if all have `enough`. */
  leastBusy(using: number, enough: number): Worker | undefined {
    let best: Worker | undefined, least = enough;
    for (let i = 1; i <= using; i++) {
      const worker = this.workers[i]!;
      const waiting = this.waiting(worker);
      if (waiting < least) {
        best = worker;
        least = waiting;
      }
    }
    return best;
  }

  /** Free slots of the engine's own lane and the lanes in use. */
  room(direction: Direction, using: number): number {
    let room = 0;
    for (let i = Math.min(using, this.workers.length - 1); i >= 0; i--) {
      room += this.workers[i]!.free[direction].length;
    }
    return room;
  }

  /** Tells a lane what to do next. */
  tell({ at }: Worker, what: number): void {
    const { words } = this.#board;
    const posted = words[at + LaneWord.posted]!;
    Atomics.store(words, at + LaneWord.queue + (posted & 2 * RING - 1), what);
    Atomics.store(words, at + LaneWord.posted, posted + 1 | 0);
    if (Atomics.load(words, at + LaneWord.sleeps) !== 0) Atomics.notify(words, at + LaneWord.posted, 1);
  }

  /** Starts one more lane if the limit allows it. @returns Whether it did. */
  start(): boolean {
    if (!this.startable) return false;
    const { words } = this.#board;
    const number = this.#started.length + 1;
    const at = this.#board.lane(number);
    const state = Atomics.load(words, at + LaneWord.state);
    // The previous lane of this number was told to end but has not ended yet.
    if (state !== LaneState.None && state !== LaneState.Ended) return false;
    for (const word of [LaneWord.posted, LaneWord.taken, LaneWord.sleeps, LaneWord.stop]) {
      Atomics.store(words, at + word, 0);
    }
    Atomics.store(words, at + LaneWord.clean, 1);
    Atomics.store(words, at + LaneWord.state, LaneState.Starting);
    this.#started.push(number);
    this.threads.start(number);
    return true;
  }

  /** Adds lanes that are ready. Called in each turn. @returns The number of a lane that has failed; -1 if none has. */
  look(): number {
    const { words } = this.#board;
    const started = this.#started;
    for (let i = 0; i < started.length; i++) {
      const number = started[i]!;
      const state = Atomics.load(words, this.#board.lane(number) + LaneWord.state);
      if (state === LaneState.Failed) return number;
      if (state !== LaneState.Ready || this.#numbered[number] !== undefined) continue;
      if (this.own === null) {
        this.own = this.threads.own();
        this.#add(OWN);
      }
      this.#add(number);
    }
    return -1;
  }

  /** Tells all lanes to end. None has a job now. */
  end(): void {
    this.workers.length = this.#numbered.length = 0;
    this.own = null;
    const { words } = this.#board;
    for (const number of this.#started) {
      const at = this.#board.lane(number);
      // A lane that is not ready yet sees this when it is.
      Atomics.store(words, at + LaneWord.stop, 1);
      Atomics.add(words, at + LaneWord.posted, 1);
      Atomics.notify(words, at + LaneWord.posted);
    }
    this.#started.length = 0;
  }

  #add(number: number): void {
    const { unsigned } = this.#board;
    const at = this.#board.lane(number);
    const all = () => Array.from({ length: SLOTS }, (_, i) => i);
    const worker: Worker = {
      number,
      memory: this.threads.memory(number),
      slots: unsigned[at + LaneWord.slots]!,
      keys: unsigned[at + LaneWord.keys]!,
      places: unsigned[at + LaneWord.places]!,
      at,
      free: [all(), all()],
    };
    this.workers.push(worker);
    this.#numbered[number] = worker;
    this.joined(worker);
  }
}
