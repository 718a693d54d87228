/**
 * Lanes without threads. A test decides which lane does its next job, and when.
 *
 * @module
 */

import type { LaneMemory, LaneThreads, Outlet } from "../../../core/engine/doors.ts";
import { Board, BoardWord, LaneState, LaneWord } from "../../../core/engine/lanes/board.ts";
import { Lane } from "../../../core/engine/lanes/lane.ts";
import type { EndpointWords } from "../../../core/protocol/endpoint.ts";
import { Wasm } from "../../../wasm/mod.ts";

/** Lane n's memory begins at n times this, that of lane 0 at 8 times. The engine's is at 0. */
const SPACE = 2 ** 33;
const TRIE = 16 * SPACE;

/** The socket and the device of lanes. */
export interface Outside {
  send(to: EndpointWords, bytes: Uint8Array, segment: number): number;
  write(packet: Uint8Array, parts: number): number;
}

/** Lanes in one thread. */
export class MemoryLanes implements LaneThreads {
  readonly board: Board = new Board();
  readonly considerate = false;
  readonly lanes: (Lane | undefined)[] = [];
  readonly paused = new Set<number>();
  #trie: Uint32Array = new Uint32Array();

  /**
   * @param engine The engine's memory.
   * @param random Chooses one of the lanes that have a job.
   */
  constructor(
    readonly engine: Wasm,
    readonly limit: number,
    readonly outside: Outside,
    readonly random: () => number = Math.random,
  ) {}

  own(): Lane {
    return this.#make(0);
  }

  start(number: number): void {
    this.#make(number);
  }

  #make(number: number): Lane {
    const wasm = new Wasm();
    const lane = new Lane(this.board, number, wasm, new MemoryOutlet(this, number || 8, wasm));
    this.lanes[number] = lane;
    return lane;
  }

  memory(number: number): LaneMemory {
    return { bytes: this.lanes[number]!.wasm.memory.bytes, origin: this.board.base(number) };
  }

  publish(words: Uint32Array): void {
    this.#trie = words;
    this.board.unsigned[BoardWord.trieHigh] = TRIE / 2 ** 32;
    // A different address each time.
    this.board.unsigned[BoardWord.trieLow]! += 16;
    this.board.unsigned[BoardWord.trieLength] = words.length;
  }

  wait(): void {
    if (!this.step()) throw new Error("the engine waits for lanes that have nothing to do");
  }

  idleProcessors(): number {
    return 0;
  }

  busy(): number {
    return NaN;
  }

  listen(fd: number, on: boolean): void {
    if (on) this.paused.delete(fd);
    else this.paused.add(fd);
  }

  /** Lanes that have a job, or parts of a key on their stack. */
  get #busy(): Lane[] {
    const { words } = this.board;
    return this.lanes.filter((lane) => {
      if (!lane || lane.number === 0) return false;
      const at = this.board.lane(lane.number);
      return words[at + LaneWord.state] === LaneState.Ready &&
        (words[at + LaneWord.posted] !== words[at + LaneWord.taken] || words[at + LaneWord.clean] === 0);
    }) as Lane[];
  }

  /** Lets one lane do its next job. @returns False if no lane has one. */
  step(): boolean {
    const busy = this.#busy;
    const lane = busy[Math.floor(this.random() * busy.length)];
    if (!lane) return false;
    const at = this.board.lane(lane.number);
    if (this.board.words[at + LaneWord.stop] !== 0) {
      this.board.words[at + LaneWord.state] = LaneState.Ended;
      return true;
    }
    try {
      lane.step();
    } catch (error) {
      if (!(error instanceof LaneFailure)) throw error;
    }
    return true;
  }

  /** Whether the engine should have a turn because of its lanes. */
  get due(): boolean {
    return this.#busy.length > 0;
  }

  /** Memory at an address of any of them. */
  at(address: number, length: number): Uint8Array {
    const space = Math.floor(address / SPACE);
    if (space === TRIE / SPACE) return new Uint8Array(this.#trie.buffer, 0, length);
    const wasm = space === 0 ? this.engine : this.lanes[space % 8]!.wasm;
    const offset = address - space * SPACE;
    return wasm.memory.bytes.subarray(offset, offset + length);
  }
}

/** Thrown by a lane that a test lets fail. */
export class LaneFailure extends Error {}

class MemoryOutlet implements Outlet {
  trainsRefused = 0;

  constructor(readonly lanes: MemoryLanes, readonly space: number, readonly wasm: Wasm) {}

  get base(): number {
    return this.space * SPACE;
  }

  useSocket(): void {}

  send(to: EndpointWords, address: number, length: number, segment: number): number {
    return this.lanes.outside.send(to, this.lanes.at(address, length).slice(), segment || length);
  }

  write(address: number, length: number): number {
    return this.lanes.outside.write(this.lanes.at(address, length).slice(), 1);
  }

  writeVector(vectors: number, count: number, total: number): number {
    const list = this.lanes.at(vectors, 16 * count);
    const view = new DataView(list.buffer, list.byteOffset);
    const packet = new Uint8Array(total);
    let filled = 0;
    for (let i = 0; i < count; i++) {
      const at = view.getUint32(16 * i + 4, true) * 2 ** 32 + view.getUint32(16 * i, true);
      const part = this.lanes.at(at, view.getUint32(16 * i + 8, true));
      packet.set(part, filled);
      filled += part.length;
    }
    if (filled !== total) throw new Error("the parts do not add up");
    return this.lanes.outside.write(packet, count);
  }

  map(address: number, length: number): ArrayBuffer {
    const bytes = this.lanes.at(address, length);
    // The trie is mapped once and read for a long time. Everything else is read at once.
    return address >= TRIE ? bytes.buffer as ArrayBuffer : bytes.slice().buffer as ArrayBuffer;
  }

  ring(): void {}
}
