import { equal } from "node:assert/strict";
import { runProgram } from "../../core/quick/run_program.ts";

Deno.test("aborting ends all processes of a hook, also those that ignore SIGTERM", async () => {
  const folder = await Deno.makeTempDir();
  const stubborn = `trap '' TERM; for _ in $(seq 200); do sleep 0.05; done`;
  const script = `bash -c "${stubborn.replaceAll("$", "\\$")}" & echo $! > ${folder}/pid; wait`;
  const abort = new AbortController();
  const running = runProgram(["bash", "-c", script], { signal: abort.signal });
  const pid = async () => Number(await Deno.readTextFile(`${folder}/pid`).catch(() => "0"));
  try {
    while (await pid() === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    // For the trap.
    await new Promise((resolve) => setTimeout(resolve, 100));
    abort.abort();
    await running;
    await new Promise((resolve) => setTimeout(resolve, 50));
    const stat = await Deno.readTextFile(`/proc/${await pid()}/stat`).catch(() => "gone");
    equal(/\) [^Z]/.test(stat), false, stat);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
