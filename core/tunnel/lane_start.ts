/**
 * What the thread of a lane is told when it begins.
 *
 * @module
 */

import { closeEventFd, ringEventFd } from "../../ffi/linux/eventfd.ts";
import type { Build } from "../../wasm/mod.ts";
import { Board, LaneState, LaneWord } from "../engine/lanes/board.ts";

/** All that a lane's thread is told. */
export interface LaneStart {
  readonly number: number;
  readonly board: SharedArrayBuffer;
  readonly build: Build;
  /** Descriptor of the TUN device. */
  readonly tun: number;
  /** A descriptor of the eventfd that wakes the engine. The lane closes it: it may begin after the engine has ended. */
  readonly bell: number;
}

/** Tells the engine, for the last time, that a lane has failed or did not begin. */
export function failLane({ number, board: buffer, bell }: LaneStart): void {
  const board = new Board(buffer);
  Atomics.store(board.words, board.lane(number) + LaneWord.state, LaneState.Failed);
  ringEventFd(bell);
  closeEventFd(bell);
}
