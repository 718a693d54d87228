/**
 * A lane: encrypts and sends, or decrypts and writes. It works in its own thread; lane 0 works in the engine's thread,
 * for the jobs that the engine does itself. A lane makes no decisions and keeps no state except its copies of keys.
 *
 * @module
 */

import type { Instance } from "../../../wasm/instance.ts";
import type { Outlet } from "../doors.ts";
import {
  type Board,
  BoardWord,
  type Direction,
  IN,
  Job,
  JobState,
  LaneState,
  LaneWord,
  OUT,
  RING,
} from "./board.ts";
import { LaneMultiplications, PLACES_BYTES } from "./multiplications.ts";
import { OpenJobs } from "./open_jobs.ts";
import { SealJobs } from "./seal_jobs.ts";
import { KEYS_BYTES, SLOTS_BYTES } from "./slots.ts";

/** The work of one lane. */
export class Lane {
  readonly #sealing: SealJobs;
  readonly #opening: OpenJobs;
  readonly #multiplying: LaneMultiplications;
  /** Offset of the words of this lane. */
  readonly #at: number;

  /** Marks this lane as ready on the board. Its memory does not grow afterwards. */
  constructor(
    readonly board: Board,
    readonly number: number,
    readonly wasm: Instance,
    readonly outlet: Outlet,
  ) {
    const { memory } = wasm;
    const slots = memory.allocatePages(SLOTS_BYTES);
    const keys = memory.allocatePages(KEYS_BYTES);
    const places = memory.allocate(PLACES_BYTES, 64);
    this.#sealing = new SealJobs(board, wasm, outlet, slots, keys);
    this.#opening = new OpenJobs(board, wasm, outlet, slots, keys);
    this.#multiplying = new LaneMultiplications(board, wasm, number, places);
    this.#at = board.lane(number);
    const { unsigned, words } = board;
    const base = outlet.base;
    unsigned[this.#at + LaneWord.baseLow] = base >>> 0;
    unsigned[this.#at + LaneWord.baseHigh] = Math.floor(base / 2 ** 32);
    unsigned[this.#at + LaneWord.size] = memory.bytes.length;
    unsigned[this.#at + LaneWord.slots] = slots;
    unsigned[this.#at + LaneWord.keys] = keys;
    unsigned[this.#at + LaneWord.places] = places;
    Atomics.store(words, this.#at + LaneWord.state, LaneState.Ready);
  }

  /**
   * Works until the engine ends it.
   *
   * @throws {Error} The cause of a failure, once the engine has ended all lanes. Only the current job is left half
   * done.
   */
  run(): void {
    const { words } = this.board;
    const at = this.#at;
    try {
      while (Atomics.load(words, at + LaneWord.stop) === 0) {
        if (this.step()) continue;
        Atomics.store(words, at + LaneWord.sleeps, 1);
        Atomics.wait(words, at + LaneWord.posted, words[at + LaneWord.taken]!);
        Atomics.store(words, at + LaneWord.sleeps, 0);
      }
    } catch (error) {
      this.#waitForEnd();
      throw error;
    }
    Atomics.store(words, at + LaneWord.state, LaneState.Ended);
  }

  /**
   * Keeps the memory, because other lanes still send what this one has finished, and the engine still erases keys in
   * it.
   */
  #waitForEnd(): void {
    const { words } = this.board;
    const posted = this.#at + LaneWord.posted;
    for (;;) {
      const before = Atomics.load(words, posted);
      if (Atomics.load(words, this.#at + LaneWord.stop) !== 0) return;
      Atomics.wait(words, posted, before);
    }
  }

  /** Does the next job. @returns False if there is none. Then no part of a key is left on the stack. */
  step(): boolean {
    const { board: { words }, wasm } = this;
    const at = this.#at;
    const taken = words[at + LaneWord.taken]!;
    if (Atomics.load(words, at + LaneWord.posted) === taken) {
      wasm.wipeStack();
      Atomics.store(words, at + LaneWord.clean, 1);
      return false;
    }
    try {
      Atomics.store(words, at + LaneWord.clean, 0);
      const job = words[at + LaneWord.queue + (taken & 2 * RING - 1)]!;
      if (job >= 2 * RING) this.#multiply(job - 2 * RING);
      else this.work(job >= RING ? IN : OUT, job & RING - 1);
      Atomics.store(words, at + LaneWord.taken, taken + 1 | 0);
    } catch (error) {
      try {
        wasm.wipeStack();
      } finally {
        Atomics.store(words, at + LaneWord.state, LaneState.Failed);
        this.outlet.ring();
      }
      throw error;
    }
    return true;
  }

  /** Computes a multiplication and always wakes the engine, because the next ones of a handshake depend on it. */
  #multiply(told: number): void {
    this.#multiplying.run(told);
    const { words } = this.board;
    const wanted = Atomics.load(words, BoardWord.engineSleeps);
    if (wanted === 0) return;
    if (Atomics.compareExchange(words, BoardWord.engineSleeps, wanted, 0) === wanted) this.outlet.ring();
  }

  /** Does one job, and releases all jobs that can be released. */
  work(direction: Direction, ticket: number): void {
    const job = this.board.job(direction, ticket);
    if (direction === OUT) this.#sealing.seal(job);
    else this.#opening.open(job);
    Atomics.store(this.board.words, job + Job.state, JobState.Done);
    this.release(direction);
  }

  /** Sends or writes the results of all finished jobs at the front of a ring, unless another lane is doing this. */
  release(direction: Direction): void {
    const { words } = this.board;
    const role = BoardWord.role + direction, headAt = BoardWord.head + direction;
    let released = false;
    // Check again after releasing the role, because another lane may have tried to take it meanwhile.
    while (this.#isDone(direction) && Atomics.compareExchange(words, role, 0, 1 + this.number) === 0) {
      try {
        while (this.#isDone(direction)) {
          const head = Atomics.load(words, headAt);
          const job = this.board.job(direction, head);
          try {
            if (direction === OUT) this.#sealing.send(job);
            else this.#opening.write(job);
          } finally {
            // If that fails, it is not repeated.
            Atomics.store(words, job + Job.state, JobState.Released);
            Atomics.store(words, headAt, head + 1 | 0);
          }
          released = true;
        }
      } finally {
        Atomics.store(words, role, 0);
      }
    }
    if (released) this.#tell(direction);
  }

  /** Wakes the engine if it waits for this event. */
  #tell(direction: Direction): void {
    const { words } = this.board;
    const wanted = Atomics.load(words, BoardWord.engineSleeps);
    if (wanted === 0 || wanted === 1 && !this.board.drained(direction)) return;
    if (Atomics.compareExchange(words, BoardWord.engineSleeps, wanted, 0) === wanted) this.outlet.ring();
  }

  #isDone(direction: Direction): boolean {
    const { words } = this.board;
    const head = Atomics.load(words, BoardWord.head + direction);
    return head !== Atomics.load(words, BoardWord.tail + direction) &&
      Atomics.load(words, this.board.job(direction, head) + Job.state) === JobState.Done;
  }
}
