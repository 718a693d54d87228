/**
 * A failed system call, with a message for the user.
 *
 * @module
 */

import { Errno } from "./constants.ts";
import { errorText } from "./libc.ts";

/** A system call that failed. */
export class SystemError extends Error {
  override readonly name = "SystemError";
  /** The errno's name, such as `EPERM`; E and its number if it is not in `Errno`. */
  readonly code: string;

  /**
   * @param action The failed action, such as `opening /dev/net/tun`.
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
