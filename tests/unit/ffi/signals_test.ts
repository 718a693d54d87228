import { equal } from "node:assert/strict";
import { constants } from "node:os";

/** Blocks signals, and returns the blocked ones. */
const WORKER = `
  import { leaveSignalsToOtherThreads } from "${new URL("../../../ffi/linux/signals.ts", import.meta.url)}";
  leaveSignalsToOtherThreads();
  self.postMessage(/^SigBlk:\\s*([0-9a-f]+)$/m.exec(Deno.readTextFileSync("/proc/thread-self/status"))[1]);
  self.close();
`;

Deno.test("a thread blocks all signals except those that it causes itself or that the C library needs", async () => {
  const worker = new Worker(`data:text/javascript,${encodeURIComponent(WORKER)}`, { type: "module" });
  const blocked = await new Promise<bigint>((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(BigInt(`0x${data}`));
    worker.onerror = ({ message }) => reject(new Error(message));
  });
  const expected: Record<string, boolean> = {
    ...{ SIGHUP: true, SIGINT: true, SIGTERM: true, SIGUSR1: true, SIGCHLD: true, SIGTSTP: true },
    ...{ SIGSEGV: false, SIGBUS: false, SIGFPE: false, SIGILL: false, SIGPROF: false },
  };
  for (const [name, is] of Object.entries(expected)) {
    const number = constants.signals[name as keyof typeof constants.signals];
    equal((blocked >> BigInt(number - 1)) & 1n, is ? 1n : 0n, name);
  }
  // glibc's SIGCANCEL and SIGSETXID are the first real-time signals (nptl(7)).
  equal(blocked >> 31n, 0n);
});
