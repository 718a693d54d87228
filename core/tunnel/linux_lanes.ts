/**
 * Lanes on Linux: workers that the main thread starts, because the engine's thread never runs its event loop.
 *
 * @module
 */

import { type Arena, machineAddress, memoryAt } from "../../ffi/linux/arena.ts";
import { closeEventFd, makeEventFd, shareEventFd, silenceEventFd } from "../../ffi/linux/eventfd.ts";
import type { LinuxHost } from "../../ffi/linux/host.ts";
import { IdleProcessors, ThreadTime } from "../../ffi/linux/processors.ts";
import { SystemError } from "../../ffi/linux/system_error.ts";
import { Instance } from "../../wasm/instance.ts";
import { type LaneCount, mostLanes } from "../config/lanes.ts";
import type { LaneMemory, LaneThreads } from "../engine/doors.ts";
import { Board, BoardWord, LaneState, LaneWord } from "../engine/lanes/board.ts";
import { Lane } from "../engine/lanes/lane.ts";
import type { LaneStart } from "./lane_start.ts";
import { LaneOutlet } from "./lane_outlet.ts";

/** Milliseconds that the engine waits for lanes before it looks again. */
const REST_PAUSE = 0.2;

/** The threads of one engine. */
export class LinuxLanes implements LaneThreads {
  readonly board: Board = new Board();
  readonly limit: number;
  readonly considerate: boolean;
  readonly #idle = new IdleProcessors();
  readonly #time = new ThreadTime();
  readonly #bell: number;

  /**
   * @param options.arena The engine's packet memory.
   * @param options.module The compiled WebAssembly module of the engine.
   * @param options.tun Descriptor of the TUN device.
   * @param options.count How many lanes there may be.
   * @param options.begin Makes the main thread start one.
   */
  constructor(
    readonly options: {
      readonly host: LinuxHost;
      readonly arena: Arena;
      readonly module: WebAssembly.Module;
      readonly tun: number;
      readonly count: LaneCount;
      readonly begin: (start: LaneStart) => void;
    },
  ) {
    const { count, host } = options;
    this.considerate = typeof count === "string";
    this.limit = mostLanes(count, navigator.hardwareConcurrency);
    this.#bell = makeEventFd();
    host.watch(this.#bell, () => silenceEventFd(this.#bell));
  }

  own(): Lane {
    const wasm = new Instance(this.options.module);
    return new Lane(this.board, 0, wasm, new LaneOutlet(wasm.memory, this.options.tun, this.#bell));
  }

  start(number: number): void {
    const { options: { module, tun, begin }, board } = this;
    let bell: number;
    try {
      bell = shareEventFd(this.#bell);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      Atomics.store(board.words, board.lane(number) + LaneWord.state, LaneState.Failed);
      return;
    }
    begin({ number, board: board.buffer, module, tun, bell });
  }

  memory(number: number): LaneMemory {
    const { board, options: { arena } } = this;
    const base = board.base(number);
    return {
      bytes: new Uint8Array(memoryAt(base, board.unsigned[board.lane(number) + LaneWord.size]!)),
      get origin() {
        return base - arena.base;
      },
    };
  }

  publish(words: Uint32Array<ArrayBuffer>): void {
    const { unsigned } = this.board;
    const address = machineAddress(new Uint8Array(words.buffer));
    unsigned[BoardWord.trieLow] = address >>> 0;
    unsigned[BoardWord.trieHigh] = Math.floor(address / 2 ** 32);
    unsigned[BoardWord.trieLength] = words.length;
  }

  wait(word: number): void {
    const { words } = this.board;
    Atomics.wait(words, word, Atomics.load(words, word), REST_PAUSE);
  }

  idleProcessors(): number {
    return this.#idle.since();
  }

  busy(): number {
    return this.#time.since();
  }

  listen(fd: number, on: boolean): void {
    this.options.host.change(fd, on ? "reading" : "nothing");
  }

  close(): void {
    this.options.host.forget(this.#bell);
    closeEventFd(this.#bell);
  }
}
