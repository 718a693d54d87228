/**
 * Wakes another thread that waits in epoll.
 *
 * @module
 */

import { check, close, libc } from "./libc.ts";
import { F_DUPFD_CLOEXEC, SOCK_CLOEXEC, SOCK_NONBLOCK } from "./constants.ts";

/** Makes an eventfd. @returns Its descriptor, valid in every thread of the process. */
export function makeEventFd(): number {
  return check(libc().eventfd(0, SOCK_NONBLOCK | SOCK_CLOEXEC), "making an eventfd");
}

/**
 * Duplicates the descriptor of an eventfd, for a thread that may use it after the first descriptor was closed.
 *
 * @throws {SystemError} If there are no more descriptors.
 */
export function shareEventFd(fd: number): number {
  return check(libc().fcntl(fd, F_DUPFD_CLOEXEC, 0), "sharing an eventfd");
}

/** Makes an eventfd readable. */
export function ringEventFd(fd: number): void {
  const one = new Uint8Array(new BigUint64Array([1n]).buffer);
  libc().write(fd, Deno.UnsafePointer.of(one), 8n);
}

/** Makes an eventfd not readable again. */
export function silenceEventFd(fd: number): void {
  libc().read(fd, Deno.UnsafePointer.of(new Uint8Array(8)), 8n);
}

export { close as closeEventFd };
