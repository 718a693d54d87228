/**
 * How this thread shares a processor with others.
 *
 * @module
 */

import { libc } from "./libc.ts";
import { SCHED_ATTR, SCHED_BATCH, SCHED_OTHER, SYS_SCHED_GETATTR, SYS_SCHED_SETATTR } from "./constants.ts";

/** Nanoseconds of processor time asked for at a time, the least there is: what V8 compiles meanwhile can wait. */
export const TIME_SLICE = 100_000n;

/**
 * Asks for short turns on the processor, which come sooner after a wake-up: since Linux 6.12, whoever asks for less is
 * served earlier, and may interrupt one who asked for more (sched/fair.c, PREEMPT_SHORT). It takes no privilege, and
 * what the thread gets in all stays the same. Older kernels pass over it.
 *
 * @param slice Nanoseconds; the kernel takes from 0.1 to 100 ms.
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
