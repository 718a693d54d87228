/**
 * What went wrong in a system call, worded for the person who has to mend it.
 *
 * @module
 */

import { errorText } from "./libc.ts";

/** The errnos that code decides by (asm-generic/errno-base.h, asm-generic/errno.h). */
export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  ENOSPC: 28,
  EPIPE: 32,
  EPROTO: 71,
  EBADFD: 77,
  EMSGSIZE: 90,
  ENOPROTOOPT: 92,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ENOBUFS: 105,
  EHOSTUNREACH: 113,
  ECONNREFUSED: 111,
} as const;

/** A system call that failed. */
export class SystemError extends Error {
  override readonly name = "SystemError";
  /** The errno's name, such as `EPERM`; of one that is not in `Errno`, E and its number. */
  readonly code: string;

  /**
   * @param action What was being done, such as `opening /dev/net/tun`.
   * @param errno The positive errno.
   * @param hint What the user can do about it.
   */
  constructor(
    readonly action: string,
    readonly errno: number,
    readonly hint: string | undefined = undefined,
  ) {
    super(`${action}: ${errorText(errno)}${hint ? `; ${hint}` : ""}`);
    this.code = Object.entries(Errno).find(([, number]) => number === errno)?.[0] ?? `E${errno}`;
  }
}
