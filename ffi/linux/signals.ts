/**
 * Controls which thread signals interrupt.
 *
 * @module
 */

import {
  LAST_STANDARD_SIGNAL,
  SIG_BLOCK,
  SIGABRT,
  SIGBUS,
  SIGFPE,
  SIGILL,
  SIGPROF,
  SIGSEGV,
  SIGSYS,
  SIGTRAP,
  SYS_RT_SIGPROCMASK,
} from "./constants.ts";
import { check, libc } from "./libc.ts";

/** A thread causes these signals itself. V8 handles some of them, and a blocked one ends the process (signal(7)). */
const SYNCHRONOUS = [SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGPROF, SIGSYS];

/**
 * Blocks signals in this thread, so that other threads of the process receive them. Deno's handler writes to a pipe,
 * and changes errno when the pipe is full. A call that a signal interrupted then seems to have failed with EAGAIN. A
 * program that this thread starts inherits the mask.
 */
export function leaveSignalsToOtherThreads(): void {
  const all = (1n << BigInt(LAST_STANDARD_SIGNAL)) - 1n;
  const blocked = SYNCHRONOUS.reduce((set, signal) => set & ~(1n << BigInt(signal - 1)), all);
  const set = new BigUint64Array([blocked]);
  check(
    Number(libc().syscall(BigInt(SYS_RT_SIGPROCMASK), BigInt(SIG_BLOCK), set, 0n, 8n)),
    "blocking signals",
  );
}
