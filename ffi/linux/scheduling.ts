/**
 * Sets how this thread shares a processor with others.
 *
 * @module
 */

import { libc } from "./libc.ts";
import { SCHED_ATTR, SCHED_BATCH, SCHED_OTHER, SYS_SCHED_GETATTR, SYS_SCHED_SETATTR } from "./constants.ts";

/** The requested time slice in nanoseconds, the minimum. V8's compilation in other threads can wait. */
export const TIME_SLICE = 100_000n;

/**
 * Requests short time slices, which begin sooner after a wake-up. Since Linux 6.12, a thread that requests a shorter
 * slice runs earlier and may interrupt one with a longer slice (sched/fair.c, PREEMPT_SHORT). This needs no privilege,
 * and the thread's total time stays the same. Older kernels ignore it.
 *
 * @param slice Nanoseconds. The kernel accepts 0.1 to 100 ms.
 */
export function takeShortTurns(slice: bigint): void {
  const attributes = new Uint8Array(SCHED_ATTR.size);
  const view = new DataView(attributes.buffer);
  const size = BigInt(SCHED_ATTR.size);
  if (libc().syscall(SYS_SCHED_GETATTR, 0n, attributes, size, 0n) < 0) return;
  const policy = view.getUint32(SCHED_ATTR.policy, true);
  // For real-time threads the field has another meaning.
  if (policy !== SCHED_OTHER && policy !== SCHED_BATCH) return;
  view.setBigUint64(SCHED_ATTR.runtime, slice, true);
  libc().syscall(SYS_SCHED_SETATTR, 0n, attributes, 0n, 0n);
}
