/**
 * A socket for questions to the kernel. The kernel answers while it is asked, so nothing here ever waits.
 *
 * @module
 */

import { machineAddress } from "./arena.ts";
import { SystemError } from "./system_error.ts";
import { check, close, libc, retry } from "./libc.ts";
import { AF_NETLINK, Errno, MSG_TRUNC, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW } from "./constants.ts";

/** The kernel fills up to 32 KiB a datagram of a dump (af_netlink.c, netlink_recvmsg). */
const BUFFER = 65_536;

/** A netlink socket of one protocol. */
export class NetlinkSocket implements Disposable {
  readonly #fd: number;
  readonly #buffer = new Uint8Array(BUFFER);

  /**
   * @param protocol Such as `NETLINK_GENERIC`.
   * @throws {SystemError} If the kernel does not have it.
   */
  constructor(protocol: number) {
    this.#fd = check(
      libc().socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol),
      "opening a netlink socket",
    );
  }

  /** Sends one or more whole messages to the kernel. */
  send(messages: Uint8Array<ArrayBuffer>): void {
    check(
      retry(() => libc().send(this.#fd, machineAddress(messages), messages.length, 0)),
      "asking the kernel over netlink",
    );
  }

  /**
   * Takes the next datagram.
   *
   * @returns Its bytes, until the next call.
   * @throws {SystemError} If there is none (EAGAIN), it does not fit (EMSGSIZE), or answers were lost (ENOBUFS).
   */
  receive(): Uint8Array {
    const buffer = machineAddress(this.#buffer);
    const action = "reading the kernel's answer over netlink";
    const length = check(retry(() => libc().recv(this.#fd, buffer, BUFFER, MSG_TRUNC)), action);
    if (length > BUFFER) throw new SystemError(action, Errno.EMSGSIZE);
    return this.#buffer.subarray(0, length);
  }

  /** Closes the socket and forgets what it read, which may have been keys. */
  [Symbol.dispose](): void {
    close(this.#fd);
    this.#buffer.fill(0);
  }
}
