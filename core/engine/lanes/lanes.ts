/**
 * The engine's side of its lanes: the sessions whose keys they have, their jobs, and the results. Only the engine makes
 * decisions, reserves counters, and keeps the state of peers. It processes results in the order of the jobs. Before
 * anything changes that jobs depend on (keys, allowed IPs, sockets), the engine waits until the lanes have finished all
 * jobs (`rest`). So a job's packets are sent or written with the state at the time when it was posted, and no packets
 * of the old state are sent after the change.
 *
 * @module
 */

import type { Wasm } from "../../../wasm/mod.ts";
import type { KeypairStore } from "../../protocol/crypto.ts";
import type { Multiplication } from "../../protocol/multiplication.ts";
import type { Peer } from "../../protocol/peer.ts";
import type { LaneThreads } from "../doors.ts";
import {
  type Board,
  BoardWord,
  type Direction,
  IN,
  Job,
  JobState,
  LaneState,
  LaneWord,
  NO_HANDLE,
  OUT,
  RING,
  Section,
} from "./board.ts";
import { Crew, OWN, type Worker } from "./crew.ts";
import { GivenMultiplications } from "./multiplications.ts";
import { loseOpening } from "./open_jobs.ts";
import { loseSealing } from "./seal_jobs.ts";
import { SharedKeys } from "./shared_keys.ts";
import { slotAt } from "./slots.ts";

/** The maximum number of unfinished jobs of a direction. With more, three lanes took more processor time per byte. */
const MOST_JOBS = 32;

/** A lane with this many tasks gets no more multiplications: without packets in progress, and with them. */
const ENOUGH = 8;
const ENOUGH_WITH_PACKETS = 2;

/**
 * Called for each job in order, after its packets were sent or written.
 *
 * @param job The offset of its words on the board.
 */
export type Completion = (ticket: number, job: number) => void;

/** The lanes of an engine. */
export class Lanes implements KeypairStore {
  readonly board: Board;
  /** The keys of which they have copies. */
  readonly keys: SharedKeys;
  /** Their multiplications of handshakes. */
  readonly multiplications: GivenMultiplications;
  readonly #crew: Crew;
  readonly #tail: [number, number] = [0, 0];
  readonly #taken: [number, number] = [0, 0];
  readonly #completions: [Completion, Completion] = [() => {}, () => {}];
  #wanted = Infinity;
  /** Descriptors that are not watched because there was no free slot. */
  readonly #paused = new Set<number>();

  /** @param failed Called when a lane has failed. From then on the engine handles all packets. */
  constructor(readonly threads: LaneThreads, readonly wasm: Wasm, readonly failed: () => void) {
    this.board = threads.board;
    this.keys = new SharedKeys(threads.board, wasm);
    this.multiplications = new GivenMultiplications(threads.board);
    this.#crew = new Crew(threads, (worker) => this.keys.copyAll(worker));
  }

  /** Whether there is a lane in addition to the engine's own. */
  get working(): boolean {
    return this.#crew.workers.length > 0;
  }

  /** The number of lanes that are ready, without the engine's own. */
  get count(): number {
    return Math.max(0, this.#crew.workers.length - 1);
  }

  /** The number of lanes that get jobs, without the engine's own. */
  get using(): number {
    return Math.min(this.#wanted, this.count);
  }

  /** Sets how many lanes get jobs from now on. At first it is all. */
  use(lanes: number): void {
    this.#wanted = lanes;
  }

  /** The number of lanes that were started, including those that are not ready. */
  get started(): number {
    return this.#crew.started;
  }

  /** Whether more lanes may be started. */
  get startable(): boolean {
    return this.#crew.startable;
  }

  /** Sets the function that is called for each finished job of a direction. */
  onCompletion(direction: Direction, completion: Completion): void {
    this.#completions[direction] = completion;
  }

  // A keypair's life.

  install(sendKey: Uint8Array, receiveKey: Uint8Array, remoteIndex: number): number {
    return this.wasm.install(sendKey, receiveKey, remoteIndex);
  }

  forget(slot: number): void {
    if (this.keys.wasShared(slot)) {
      this.rest();
      this.keys.unshare(slot, this.#crew.workers);
    }
    this.wasm.forget(slot);
  }

  /** Whether lanes have unfinished jobs of a peer's sessions. */
  hasJobs(direction: Direction, { keypairs: { previous, current, next } }: Peer): boolean {
    if (this.isEmpty(direction)) return false;
    const { keys } = this;
    return current !== null && keys.hasJobs(direction, current.slot) ||
      previous !== null && keys.hasJobs(direction, previous.slot) ||
      next !== null && keys.hasJobs(direction, next.slot);
  }

  /**
   * Assigns a section of the job that was begun to lanes: they get the session's keys, and the section counts as a job of
   * the session.
   *
   * @returns False if all handles have jobs.
   */
  assign(direction: Direction, section: number, slot: number): boolean {
    const handle = this.keys.share(slot, this.#crew.workers);
    if (handle < 0) return false;
    this.board.unsigned[section + Section.handle] = handle;
    this.keys.jobPosted(direction, handle);
    return true;
  }

  // A job's life.

  /** The lane for the next job of a direction; -1 if none has a free slot, or there are enough jobs. */
  pick(direction: Direction): number {
    if (this.#unfinished(direction) >= MOST_JOBS) return -1;
    return this.#crew.pick(direction, this.using);
  }

  #unfinished(direction: Direction): number {
    return this.#tail[direction] - this.#taken[direction] | 0;
  }

  /** How many more jobs the engine's own lane and the lanes in use can take. */
  room(direction: Direction): number {
    return Math.min(this.#crew.room(direction, this.using), MOST_JOBS - this.#unfinished(direction));
  }

  /** Takes a free slot of a lane. */
  takeSlot(direction: Direction, worker: number): number {
    return this.#crew.workers[worker]!.free[direction].pop()!;
  }

  giveSlotBack(direction: Direction, worker: number, slot: number): void {
    this.#crew.workers[worker]!.free[direction].push(slot);
  }

  /** A lane's memory. */
  bytes(worker: number): Uint8Array {
    return this.#crew.workers[worker]!.memory.bytes;
  }

  /** The offset of a slot in its lane's memory. */
  slotAt(direction: Direction, worker: number, slot: number): number {
    return slotAt(this.#crew.workers[worker]!.slots, direction, slot);
  }

  /** The difference between an offset in a lane's memory and the address in packet memory. */
  origin(worker: number): number {
    return this.#crew.workers[worker]!.memory.origin;
  }

  /** Whether all jobs of a direction were released and their results processed. */
  isEmpty(direction: Direction): boolean {
    return this.#tail[direction] === this.#taken[direction];
  }

  /** Begins a job. The caller writes its words and posts it. @returns The offset of its words on the board. */
  begin(direction: Direction, worker: number, slot: number): number {
    const { words } = this.board;
    const job = this.board.job(direction, this.#tail[direction]);
    words[job + Job.lane] = this.#crew.workers[worker]!.number;
    words[job + Job.slot] = slot;
    return job;
  }

  /** The ticket of the job that was begun. */
  ticket(direction: Direction): number {
    return this.#tail[direction] & RING - 1;
  }

  /** Passes a job to its lane. A job of the engine's own lane is finished when this returns. */
  post(direction: Direction, worker: number, job: number): void {
    const { words } = this.board;
    const ticket = this.#tail[direction];
    this.#tail[direction] = ticket + 1 | 0;
    Atomics.store(words, job + Job.state, JobState.Posted);
    Atomics.store(words, BoardWord.tail + direction, ticket + 1 | 0);
    if (worker === OWN) {
      this.#workHere(direction, ticket);
      return;
    }
    this.#crew.tell(this.#crew.workers[worker]!, direction * RING + (ticket & RING - 1));
  }

  #workHere(direction: Direction, ticket: number): void {
    try {
      this.#crew.own!.work(direction, ticket);
    } catch (error) {
      // The engine ends, and first waits for all jobs.
      this.#giveUp(OWN);
      throw error;
    }
  }

  /** Passes a multiplication to a lane. @returns False if there is no lane, or all have enough to do. */
  multiply(multiplication: Multiplication): boolean {
    const enough = this.isEmpty(OUT) && this.isEmpty(IN) ? ENOUGH : ENOUGH_WITH_PACKETS;
    const best = this.#crew.leastBusy(this.using, enough);
    if (!best) return false;
    const told = this.multiplications.give(multiplication, best);
    if (told < 0) return false;
    this.#crew.tell(best, 2 * RING + told);
    return true;
  }

  /** Erases all multiplications, including those in progress. */
  eraseMultiplications(): void {
    if (this.multiplications.count === 0) return;
    this.rest();
    this.multiplications.erase();
  }

  /** Processes the results of lanes. Called at the beginning of a turn. */
  turn(): void {
    if (this.#crew.started === 0) return;
    const failed = this.#crew.look();
    if (failed >= 0) this.#giveUpAll(failed);
    if (!this.working) return;
    this.#takeCompletions(OUT);
    this.#takeCompletions(IN);
    this.multiplications.take();
    if (this.#paused.size > 0 && this.room(OUT) > 1 && this.room(IN) > 1) {
      for (const fd of this.#paused) this.threads.listen(fd, true);
      this.#paused.clear();
    }
  }

  #takeCompletions(direction: Direction): void {
    const { words } = this.board;
    while (!this.isEmpty(direction)) {
      const taken = this.#taken[direction];
      const job = this.board.job(direction, taken);
      if (Atomics.load(words, job + Job.state) !== JobState.Released) return;
      const worker = this.#crew.numbered(words[job + Job.lane]!);
      worker.free[direction].push(words[job + Job.slot]!);
      this.#sectionsFinished(direction, job);
      this.#taken[direction] = taken + 1 | 0;
      this.#completions[direction](taken & RING - 1, job);
    }
  }

  #sectionsFinished(direction: Direction, job: number): void {
    const { unsigned: words } = this.board;
    for (let i = 0; i < words[job + Job.sections]!; i++) {
      const handle = words[this.board.section(job, i) + Section.handle]!;
      if (handle !== NO_HANDLE) this.keys.jobFinished(direction, handle);
    }
  }

  /** Stops watching a descriptor until there are free slots. */
  pause(fd: number): void {
    if (this.#paused.has(fd)) return;
    this.#paused.add(fd);
    this.threads.listen(fd, false);
  }

  /** Called before a descriptor is closed. */
  forgetDescriptor(fd: number): void {
    this.#paused.delete(fd);
  }

  /** Requests to be woken by lanes. @returns Whether the engine may sleep now. */
  maySleep(): boolean {
    const packets = !this.isEmpty(OUT) || !this.isEmpty(IN);
    if (!this.working || !packets && this.multiplications.count === 0) return true;
    const { words } = this.board;
    Atomics.store(words, BoardWord.engineSleeps, this.#paused.size > 0 ? 2 : 1);
    const drained = packets && this.board.drained(OUT) && this.board.drained(IN);
    const first = this.#nextIsReleased(OUT) || this.#nextIsReleased(IN);
    if (!drained && !(first && this.#paused.size > 0) && !this.multiplications.someDone) return true;
    Atomics.store(words, BoardWord.engineSleeps, 0);
    return false;
  }

  /** Whether there is a result of a direction that was not processed. */
  #nextIsReleased(direction: Direction): boolean {
    if (this.isEmpty(direction)) return false;
    const { words } = this.board;
    return Atomics.load(words, this.board.job(direction, this.#taken[direction]) + Job.state) ===
      JobState.Released;
  }

  /** The engine is awake. */
  awake(): void {
    if (this.working) Atomics.store(this.board.words, BoardWord.engineSleeps, 0);
  }

  /** Waits until lanes have finished all jobs, and no key is left on their stacks. The results are processed later. */
  rest(): void {
    if (!this.working) return;
    const { words } = this.board;
    const lane = this.#crew.own!;
    for (;;) {
      lane.release(OUT);
      lane.release(IN);
      let busy = !this.board.drained(OUT) || !this.board.drained(IN);
      let waitFor: Worker | null = null;
      for (let i = 1; i < this.#crew.workers.length; i++) {
        const worker = this.#crew.workers[i]!;
        if (Atomics.load(words, worker.at + LaneWord.state) === LaneState.Failed) {
          this.#giveUp(worker.number);
          continue;
        }
        const done = words[worker.at + LaneWord.posted] === Atomics.load(words, worker.at + LaneWord.taken) &&
          Atomics.load(words, worker.at + LaneWord.clean) !== 0;
        if (!done) {
          busy = true;
          waitFor ??= worker;
        }
      }
      if (!busy) break;
      this.threads.wait((waitFor ?? this.#crew.workers[1]!).at + LaneWord.taken);
    }
    lane.wasm.wipeStack();
  }

  // A lane's life.

  /** Starts one more lane if the limit allows it. @returns Whether it did. */
  start(): boolean {
    return this.#crew.start();
  }

  /** Ends all lanes and releases their memory. */
  stop(): void {
    if (this.#crew.started === 0) return;
    this.rest();
    for (const direction of [OUT, IN] as const) this.#takeCompletions(direction);
    this.multiplications.take();
    this.keys.unshareAll(this.#crew.workers);
    for (const fd of this.#paused) this.threads.listen(fd, true);
    this.#paused.clear();
    this.#crew.end();
  }

  /** A lane failed. Its jobs are lost, and the others end after their current jobs. */
  #giveUpAll(number: number): void {
    this.#crew.failed = true;
    if (this.working) this.#giveUp(number);
    this.stop();
    this.failed();
  }

  /** Marks the jobs of a failed lane as done, without a result. */
  #giveUp(number: number): void {
    this.#crew.failed = true;
    const { unsigned: words, words: signed } = this.board;
    for (const direction of [OUT, IN] as const) {
      for (let ticket = this.#taken[direction]; ticket !== this.#tail[direction]; ticket = ticket + 1 | 0) {
        const job = this.board.job(direction, ticket);
        if (words[job + Job.lane] !== number) continue;
        if (Atomics.load(signed, job + Job.state) !== JobState.Posted) continue;
        if (direction === OUT) loseSealing(this.board, job);
        else loseOpening(this.board, job);
        Atomics.store(signed, job + Job.state, JobState.Done);
      }
    }
    this.multiplications.lose(number);
    const at = this.board.lane(number);
    Atomics.store(signed, at + LaneWord.taken, signed[at + LaneWord.posted]!);
    Atomics.store(signed, at + LaneWord.clean, 1);
  }
}
