/**
 * A lane's thread. Its only message says where its engine is; it works until the engine ends it.
 *
 * @module
 */

import { ringEventFd } from "../../ffi/linux/eventfd.ts";
import { takeShortTurns, TIME_SLICE } from "../../ffi/linux/scheduling.ts";
import { Wasm } from "../../wasm/mod.ts";
import { Board } from "../engine/lanes/board.ts";
import { Lane } from "../engine/lanes/lane.ts";
import { LaneOutlet } from "./lane_outlet.ts";
import { failLane, type LaneStart } from "./lane_start.ts";

interface WorkerScope {
  onmessage: ((event: MessageEvent<LaneStart>) => void) | null;
  close(): void;
}

const scope = globalThis as unknown as WorkerScope;

scope.onmessage = ({ data }) => {
  const { number, board: buffer, build, tun, bell } = data;
  const board = new Board(buffer);
  try {
    const wasm = new Wasm(build);
    const lane = new Lane(board, number, wasm, new LaneOutlet(wasm.memory, tun, bell));
    takeShortTurns(TIME_SLICE);
    ringEventFd(bell);
    lane.run();
  } catch (error) {
    failLane(data);
    throw error;
  } finally {
    scope.close();
  }
};
