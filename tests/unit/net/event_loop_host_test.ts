import { equal, ok } from "node:assert/strict";
import { EventLoopHost } from "../../../core/net/event_loop_host.ts";

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

Deno.test("an event loop's host takes no turn for a deadline that has moved, and one when it is due", async () => {
  const host = new EventLoopHost();
  const turns: number[] = [];
  let deadline = Infinity;
  host.start({
    turn() {
      turns.push(host.boot());
      deadline = Infinity;
    },
    get deadline() {
      return deadline;
    },
  });
  await pause(5);
  equal(turns.length, 1, "the engine takes its first turn");
  const begun = host.boot();
  host.alarm(begun + 10);
  // Both are later than the timer that runs already.
  deadline = begun + 60;
  host.alarm(begun + 80);
  await pause(40);
  equal(turns.length, 1, "nothing is due yet");
  while (turns.length < 2) await pause(5);
  ok(turns[1]! >= begun + 60);
  // An earlier one replaces the timer.
  host.alarm(host.boot() + 1_000);
  const early = host.boot() + 10;
  host.alarm(early);
  while (turns.length < 3) await pause(1);
  ok(turns[2]! >= early && turns[2]! < early + 500);
  host.stop();
});
