/**
 * The thread of a lane: how long it keeps its memory, and what it rings.
 *
 * @module
 */

import { equal, ok } from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { LaneStart } from "../../../core/tunnel/lane_start.ts";
import { LinuxLanes } from "../../../core/tunnel/linux_lanes.ts";
import {
  type Board,
  BoardWord,
  IN,
  Job,
  JobState,
  LaneState,
  LaneWord,
  RING,
} from "../../../core/engine/lanes/board.ts";
import { MovingArena } from "../../../ffi/linux/arena.ts";
import { closeEventFd, makeEventFd } from "../../../ffi/linux/eventfd.ts";
import { Errno } from "../../../ffi/linux/constants.ts";
import { LinuxHost } from "../../../ffi/linux/host.ts";
import { Wasm } from "../../../wasm/mod.ts";
import { refusing } from "../ffi/refusing_kernel.ts";

const NUMBER = 1;

/** Lanes of an engine that does nothing, one of which is about to be started. */
function starting(): { host: LinuxHost; lanes: LinuxLanes; board: Board; start: LaneStart } {
  const { memory, module } = new Wasm();
  const arena = new MovingArena(memory);
  const host = new LinuxHost(arena);
  const started: LaneStart[] = [];
  const lanes = new LinuxLanes({ host, arena, module, tun: -1, count: 1, begin: (it) => started.push(it) });
  lanes.start(NUMBER);
  return { host, lanes, board: lanes.board, start: started[0]! };
}

/** Begins the thread of a lane, as `startLane` in core/tunnel/start.ts. @returns What it says. */
function begin(start: LaneStart): string[] {
  const url = new URL("../../../core/tunnel/lane_worker.ts", import.meta.url);
  const worker = new Worker(url, { type: "module" });
  const said: string[] = [];
  worker.onmessage = ({ data }) => said.push(data);
  worker.onerror = (event) => {
    event.preventDefault();
    said.push(event.message);
  };
  worker.postMessage(start);
  return said;
}

function wordOf({ words }: Board, at: number, word: number): number {
  return Atomics.load(words, at + word);
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (const end = performance.now() + 20_000; !isSo(); await sleep(5)) {
    if (performance.now() > end) throw new Error(`${what} did not come`);
  }
}

/** As `Lanes.stop`. */
function end(board: Board): void {
  const at = board.lane(NUMBER);
  Atomics.store(board.words, at + LaneWord.stop, 1);
  Atomics.add(board.words, at + LaneWord.posted, 1);
  Atomics.notify(board.words, at + LaneWord.posted);
}

function isMapped(address: number): boolean {
  return Deno.readTextFileSync("/proc/self/maps").split("\n").some((line) => {
    const [, from, to, rights] = /^([\da-f]+)-([\da-f]+) (\S+)/.exec(line) ?? [];
    return rights?.startsWith("rw") && parseInt(from!, 16) <= address && address < parseInt(to!, 16);
  });
}

/** Posts a job that no lane can do: the allowed IPs are nowhere. */
function postImpossible(board: Board): void {
  const { words } = board;
  const job = board.job(IN, 0), at = board.lane(NUMBER);
  words[BoardWord.trieLength] = 1;
  words[job + Job.lane] = NUMBER;
  Atomics.store(words, job + Job.state, JobState.Posted);
  Atomics.store(words, BoardWord.tail + IN, 1);
  words[at + LaneWord.queue] = IN * RING;
  Atomics.store(words, at + LaneWord.posted, 1);
  Atomics.notify(words, at + LaneWord.posted);
}

Deno.test("a lane that failed keeps its memory until the engine ends it, and then says why", async () => {
  const { host, lanes, board, start } = starting();
  const said = begin(start);
  const at = board.lane(NUMBER);
  await until("the lane", () => wordOf(board, at, LaneWord.state) === LaneState.Ready);
  const base = board.base(NUMBER);
  ok(isMapped(base));
  postImpossible(board);
  await until("the failure", () => wordOf(board, at, LaneWord.state) === LaneState.Failed);
  await sleep(300);
  ok(isMapped(base), "the memory of a failed lane stays, because others still use it");
  end(board);
  await until("the reason", () => said.length > 0);
  await until("the end of its memory", () => !isMapped(base));
  equal(said.length, 1);
  lanes.close();
  host.close();
});

Deno.test("a lane that begins after its engine has ended does not write to a reused descriptor", async () => {
  const { host, lanes, board, start } = starting();
  end(board);
  lanes.close();
  // This has the number now that the engine's bell had.
  const other = makeEventFd();
  let rung = false;
  host.watch(other, () => rung = true);
  const said = begin(start);
  await until("its end", () => wordOf(board, board.lane(NUMBER), LaneWord.state) === LaneState.Ended);
  host.wait(false);
  host.dispatch();
  equal(rung, false);
  host.close();
  closeEventFd(other);
  equal(said.length, 0);
});

Deno.test("a lane without a descriptor counts as failed and is not started", () => {
  const { memory, module } = new Wasm();
  const arena = new MovingArena(memory);
  const host = new LinuxHost(arena);
  const begin = () => {
    throw new Error("it was begun");
  };
  const lanes = new LinuxLanes({ host, arena, module, tun: -1, count: 1, begin });
  {
    using _ = refusing(({ fail }) => ({ fcntl: () => fail(Errno.EMFILE) }));
    lanes.start(NUMBER);
  }
  equal(wordOf(lanes.board, lanes.board.lane(NUMBER), LaneWord.state), LaneState.Failed);
  lanes.close();
  host.close();
});
