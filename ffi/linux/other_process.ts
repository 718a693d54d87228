/**
 * Descriptors of another process of this user.
 *
 * @module
 */

import { machineAddress } from "./arena.ts";
import { Errno, FIONBIO, SYS_PIDFD_GETFD, SYS_PIDFD_OPEN } from "./constants.ts";
import { check, close, libc } from "./libc.ts";
import { SystemError } from "./system_error.ts";

const SYMBOLS = {
  __errno_location: { parameters: [], result: "pointer" },
  syscall: { parameters: ["i64", "i64", "i64", "i64"], result: "i64" },
} as const;

/**
 * Duplicates a child's descriptor, as if the child had sent it by SCM_RIGHTS (pidfd_getfd(2), Linux 5.6). The
 * descriptor is made non-blocking.
 *
 * @param pid The child.
 * @param fd Its descriptor.
 * @throws {SystemError} If the kernel or a security module forbids it.
 */
export function takeDescriptor(pid: number, fd: number): number {
  // Not in libc.ts, whose `syscall` takes other arguments. Few programs need it.
  const { syscall, __errno_location } = Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  const call = (number: number, first: number, second: number): number => {
    const result = Number(syscall(BigInt(number), BigInt(first), BigInt(second), 0n));
    if (result >= 0) return result;
    const errno = new Deno.UnsafePointerView(__errno_location()!).getInt32();
    const hint = errno === Errno.ENOSYS ? "this needs Linux 5.6 (pidfd_getfd)" : undefined;
    throw new SystemError(`taking a descriptor of process ${pid}`, errno, hint);
  };
  const process = call(SYS_PIDFD_OPEN, pid, 0);
  try {
    const copy = call(SYS_PIDFD_GETFD, process, fd);
    const on = new Uint8Array(new Int32Array([1]).buffer);
    check(libc().ioctl(copy, FIONBIO, machineAddress(on)), "turning off blocking");
    return copy;
  } finally {
    close(process);
  }
}
