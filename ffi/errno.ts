/**
 * What went wrong in a system call, worded for the person who has to mend it.
 *
 * @module
 */

import type * as util from "node:util";

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
  ENOTTY: 25,
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
  ENOBUFS: 105,
  EHOSTUNREACH: 113,
  ECONNREFUSED: 111,
} as const;

/** What Deno has for programs written for Node. */
interface NodeGlobal {
  readonly process: { getBuiltinModule(name: "node:util"): typeof util };
}

/** A system call that failed. */
export class SystemError extends Error {
  override readonly name = "SystemError";
  /** The errno's name, such as `EPERM`. */
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
    // Loaded when it is needed: it takes 8 ms, in each thread that does.
    const { getSystemErrorMap } = (globalThis as unknown as NodeGlobal).process.getBuiltinModule("node:util");
    const [code, text] = getSystemErrorMap().get(-errno) ?? [`E${errno}`, `error ${errno}`];
    super(`${action}: ${text}${hint ? `; ${hint}` : ""}`);
    this.code = code;
  }
}
