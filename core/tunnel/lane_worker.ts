/**
 * A lane's thread. Its only message contains what it shares with its engine. It works until the engine ends it.
 *
 * @module
 */

import { closeEventFd, ringEventFd } from "../../ffi/linux/eventfd.ts";
import { takeShortTurns, TIME_SLICE } from "../../ffi/linux/scheduling.ts";
import { leaveSignalsToOtherThreads } from "../../ffi/linux/signals.ts";
import { Instance } from "../../wasm/instance.ts";
import { Board } from "../engine/lanes/board.ts";
import { Lane } from "../engine/lanes/lane.ts";
import { LaneOutlet } from "./lane_outlet.ts";
import { failLane, type LaneStart } from "./lane_start.ts";

interface WorkerScope {
  onmessage: ((event: MessageEvent<LaneStart>) => void) | null;
  /** Reports why the lane failed. */
  postMessage(reason: string): void;
  close(): void;
}

const scope = globalThis as unknown as WorkerScope;

scope.onmessage = ({ data }) => {
  const { number, board, module, tun, bell } = data;
  try {
    leaveSignalsToOtherThreads();
    takeShortTurns(TIME_SLICE);
    const wasm = new Instance(module);
    const lane = new Lane(new Board(board), number, wasm, new LaneOutlet(wasm.memory, tun, bell));
    ringEventFd(bell);
    lane.run();
    closeEventFd(bell);
  } catch (error) {
    failLane(data);
    scope.postMessage(error instanceof Error ? error.message : String(error));
  }
  scope.close();
};
