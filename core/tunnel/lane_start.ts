/**
 * What the thread of a lane is told when it begins.
 *
 * @module
 */

import { ringEventFd } from "../../ffi/linux/eventfd.ts";
import type { Build } from "../../wasm/mod.ts";
import { Board, LaneState, LaneWord } from "../engine/lanes/board.ts";

/** All that a lane's thread is told. */
export interface LaneStart {
  readonly number: number;
  readonly board: SharedArrayBuffer;
  readonly build: Build;
  /** Descriptors of the TUN device, and of the eventfd that wakes the engine. */
  readonly tun: number;
  readonly bell: number;
}

/** Tells the engine that a lane's thread has ended, or did not begin. */
export function failLane({ number, board: buffer, bell }: LaneStart): void {
  const board = new Board(buffer);
  Atomics.store(board.words, board.lane(number) + LaneWord.state, LaneState.Failed);
  ringEventFd(bell);
}
