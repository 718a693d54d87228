import { deepEqual, equal, ok } from "node:assert/strict";
import { type HalfOpen, HalfOpenPrograms } from "../../../core/net/half_open.ts";

/** A program that records whether it was disconnected. */
function program() {
  return {
    closed: false,
    close() {
      this.closed = true;
    },
  };
}

Deno.test("beyond the limit, a new half-open program replaces the one that has waited longest", () => {
  const all = new HalfOpenPrograms(2, 60_000);
  const programs = [program(), program(), program()];
  const [, second, third] = programs.map((program) => all.enter(program));
  deepEqual(programs.map(({ closed }) => closed), [true, false, false]);
  deepEqual([all.count, all.hungUp], [2, 1]);
  second![Symbol.dispose]();
  deepEqual(
    [all.count, all.hungUp, programs[1]!.closed],
    [1, 1, false],
    "a connected program is not counted and not disconnected",
  );
  all.close();
  deepEqual([all.count, third!.signal.aborted], [0, true]);
});

Deno.test("a half-open program is disconnected when its time is over", async () => {
  const all = new HalfOpenPrograms(2, 20);
  const late = program();
  const waiting = all.enter(late);
  await new Promise((resolve) => waiting.signal.addEventListener("abort", resolve));
  ok(late.closed);
  deepEqual([all.count, all.hungUp], [0, 1]);
});

Deno.test("a program that is being connected gets an error before it is disconnected", async () => {
  const all = new HalfOpenPrograms(2, 20);
  const late = program();
  using waiting = all.enter(late);
  waiting.connecting();
  await new Promise((resolve) => waiting.signal.addEventListener("abort", resolve));
  ok(waiting.signal.reason instanceof Deno.errors.TimedOut);
  equal(late.closed, false);
});

Deno.test("the time of a half-open program begins again with its request, and each has its own", async () => {
  const all = new HalfOpenPrograms(3, 60);
  const begun = performance.now();
  const over = (waiting: HalfOpen) =>
    new Promise<number>((resolve) =>
      waiting.signal.addEventListener("abort", () => resolve(performance.now() - begun))
    );
  const [first, second] = [all.enter(program()), all.enter(program())];
  const [firstOver, secondOver] = [over(first), over(second)];
  await new Promise((resolve) => setTimeout(resolve, 30));
  const asked = performance.now() - begun;
  first.connecting();
  ok(await secondOver >= 60);
  ok(await firstOver >= asked + 60);
  equal(all.count, 0);
});
