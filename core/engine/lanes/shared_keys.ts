/**
 * The sessions whose keys lanes have. Each has a handle: its index in every lane's table of keys and in the replay
 * windows on the board.
 *
 * @module
 */

import { SLOT_BYTES } from "../../../wasm/instance.ts";
import type { Wasm } from "../../../wasm/mod.ts";
import type { LaneMemory } from "../doors.ts";
import { type Board, type Direction, HANDLES } from "./board.ts";
import { keyAt } from "./slots.ts";

/** A lane's table of keys. */
export interface KeyTable {
  readonly memory: LaneMemory;
  /** Offset of the table. */
  readonly keys: number;
}

/** The engine's keys of which lanes have copies. */
export class SharedKeys {
  /** Handles of sessions, by their slots. */
  readonly #handles = new Map<number, number>();
  readonly #free: number[] = Array.from({ length: HANDLES }, (_, i) => HANDLES - 1 - i);
  /** Sessions by their handles. Handles are reused in this order. */
  readonly #slots = new Int32Array(HANDLES);
  #next = 0;
  /** Sessions that lost their handles. A lane's stack may still contain parts of their keys. */
  readonly #earlier = new Set<number>();
  /** The number of jobs of each handle that are not finished, by direction. */
  readonly #jobs = [new Uint16Array(HANDLES), new Uint16Array(HANDLES)] as const;

  constructor(readonly board: Board, readonly wasm: Wasm) {}

  /** Whether a lane may have seen a session's keys. */
  wasShared(slot: number): boolean {
    return this.#handles.has(slot) || this.#earlier.has(slot);
  }

  /** A job of a handle was posted. */
  jobPosted(direction: Direction, handle: number): void {
    this.#jobs[direction][handle]!++;
  }

  /** The result of a job of a handle was processed. */
  jobFinished(direction: Direction, handle: number): void {
    this.#jobs[direction][handle]!--;
  }

  /** Whether lanes have unfinished jobs of a session. */
  hasJobs(direction: Direction, slot: number): boolean {
    const handle = this.#handles.get(slot);
    return handle !== undefined && this.#jobs[direction][handle]! > 0;
  }

  /**
   * Copies a session's keys to all tables, and its replay window to the board. If all handles are in use, it takes the
   * handle of a session without jobs.
   *
   * @returns Its handle; -1 if there is none.
   */
  share(slot: number, tables: readonly KeyTable[]): number {
    const known = this.#handles.get(slot);
    if (known !== undefined) return known;
    if (this.#free.length === 0) this.#freeOne(tables);
    const handle = this.#free.pop();
    if (handle === undefined) return -1;
    this.#handles.set(slot, handle);
    this.#slots[handle] = slot;
    this.#bringWindow(handle, slot, "to the board");
    for (const table of tables) this.#copy(table, slot, handle);
    return handle;
  }

  /**
   * Copies the replay window of a session to the engine's memory, for `Wasm.openBatch`. {@linkcode endOpening} must
   * follow.
   */
  beginOpening(slot: number): void {
    const handle = this.#handles.get(slot);
    if (handle === undefined) return;
    this.board.lock(handle);
    this.#bringWindow(handle, slot, "to our memory");
  }

  endOpening(slot: number): void {
    const handle = this.#handles.get(slot);
    if (handle === undefined) return;
    this.#bringWindow(handle, slot, "to the board");
    this.board.unlock(handle);
  }

  /** Takes the handle from the next session that has no jobs. */
  #freeOne(tables: readonly KeyTable[]): void {
    for (let i = 0; i < HANDLES; i++) {
      const handle = this.#next;
      this.#next = (handle + 1) % HANDLES;
      if (this.#jobs[0][handle]! + this.#jobs[1][handle]! > 0) continue;
      const slot = this.#slots[handle]!;
      this.unshare(slot, tables);
      this.#earlier.add(slot);
      return;
    }
  }

  /** Erases all copies of a session's keys. No lane has a job of it now. */
  unshare(slot: number, tables: readonly KeyTable[]): void {
    this.#earlier.delete(slot);
    const handle = this.#handles.get(slot);
    if (handle === undefined) return;
    for (const { memory: { bytes }, keys } of tables) {
      bytes.fill(0, keyAt(keys, handle), keyAt(keys, handle + 1));
    }
    this.#bringWindow(handle, slot, "to our memory");
    this.board.window(handle).fill(0);
    this.#handles.delete(slot);
    this.#free.push(handle);
  }

  /** Erases all copies of all keys. No lane has a job now. */
  unshareAll(tables: readonly KeyTable[]): void {
    for (const slot of [...this.#handles.keys()]) this.unshare(slot, tables);
    this.#earlier.clear();
  }

  /** Copies all keys to the table of a new lane. */
  copyAll(table: KeyTable): void {
    for (const [slot, handle] of this.#handles) this.#copy(table, slot, handle);
  }

  #copy({ memory: { bytes }, keys }: KeyTable, slot: number, handle: number): void {
    bytes.set(this.wasm.memory.bytes.subarray(slot, slot + SLOT_BYTES), keyAt(keys, handle));
  }

  #bringWindow(handle: number, slot: number, way: "to the board" | "to our memory"): void {
    const at = this.wasm.windowOf(slot) / 4, shared = this.board.window(handle);
    // Read after `windowOf`, which may grow the memory.
    const { words } = this.wasm.memory;
    if (way === "to the board") shared.set(words.subarray(at, at + shared.length));
    else words.set(shared, at);
  }
}
