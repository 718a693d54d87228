/**
 * The sessions whose keys lanes have. Each has a handle: its index in every lane's table of keys and in the replay
 * windows on the board.
 *
 * @module
 */

import { SLOT_BYTES, type Wasm } from "../../../wasm/mod.ts";
import type { LaneMemory } from "../doors.ts";
import { type Board, HANDLES } from "./board.ts";
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

  constructor(readonly board: Board, readonly wasm: Wasm) {}

  /** Whether lanes have a session's keys. */
  isShared(slot: number): boolean {
    return this.#handles.has(slot);
  }

  /** Copies a session's keys to all tables, and its replay window to the board. @returns Its handle; -1 if there is none. */
  share(slot: number, tables: readonly KeyTable[]): number {
    const known = this.#handles.get(slot);
    if (known !== undefined) return known;
    const handle = this.#free.pop();
    if (handle === undefined) return -1;
    this.#handles.set(slot, handle);
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

  /** Erases all copies of a session's keys. No lane has a job now. */
  unshare(slot: number, tables: readonly KeyTable[]): void {
    const handle = this.#handles.get(slot)!;
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
