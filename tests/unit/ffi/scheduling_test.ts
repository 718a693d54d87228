import { equal } from "node:assert/strict";
import { takeShortTurns } from "../../../ffi/linux/scheduling.ts";

/** Nanoseconds of this thread's time slices, if the kernel shows and supports them. */
function slice(): number | undefined {
  const [major, minor] = Deno.osRelease().split(".").map(Number);
  if (major! * 1_000 + minor! < 6_012) return undefined;
  try {
    const text = Deno.readTextFileSync("/proc/thread-self/sched");
    return Number(/^se\.slice +: +(\d+)/m.exec(text)?.[1]);
  } catch {
    return undefined;
  }
}

function niceness(): number {
  // proc_pid_stat(5), field 19.
  return Number(Deno.readTextFileSync("/proc/thread-self/stat").split(") ")[1]!.split(" ")[16]);
}

Deno.test("short time slices are set for this thread, and its other scheduling does not change", () => {
  const [before, nice] = [slice(), niceness()];
  takeShortTurns(300_000n);
  const known = before !== undefined && !Number.isNaN(before);
  if (known) equal(slice(), 300_000);
  equal(niceness(), nice);
  if (known) {
    takeShortTurns(BigInt(before));
    equal(slice(), before);
  }
});
