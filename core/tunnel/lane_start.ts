/**
 * The first message to the thread of a lane.
 *
 * @module
 */

import { closeEventFd, ringEventFd } from "../../ffi/linux/eventfd.ts";
import { Board, LaneState, LaneWord } from "../engine/lanes/board.ts";

/** The message to a lane's thread. */
export interface LaneStart {
  readonly number: number;
  readonly board: SharedArrayBuffer;
  /** The compiled WebAssembly module. All threads share its code. */
  readonly module: WebAssembly.Module;
  /** Descriptor of the TUN device. */
  readonly tun: number;
  /**
   * A descriptor of the eventfd that wakes the engine. The lane closes it, because the lane may begin after the engine
   * has ended.
   */
  readonly bell: number;
}

/** Reports to the engine that a lane has failed or did not start. It is the lane's last message. */
export function failLane({ number, board: buffer, bell }: LaneStart): void {
  const board = new Board(buffer);
  Atomics.store(board.words, board.lane(number) + LaneWord.state, LaneState.Failed);
  ringEventFd(bell);
  closeEventFd(bell);
}
