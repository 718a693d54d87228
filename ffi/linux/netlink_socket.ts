/**
 * A netlink socket for requests. The kernel replies during the call that sends the request, so no call here blocks.
 *
 * @module
 */

import { SystemError } from "./system_error.ts";
import { AF_NETLINK, Errno, MSG_TRUNC, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW } from "./constants.ts";

/** A datagram of a dump has up to 32 KiB (af_netlink.c, netlink_recvmsg). */
const BUFFER = 65_536;

const SYMBOLS = {
  __errno_location: { parameters: [], result: "pointer" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "i32" },
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
} as const;

let symbols: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] | undefined;

/**
 * Not in libc.ts, as in link_names.ts: opening all of libc.ts takes 4 ms, and opening these five functions takes 1 ms.
 */
function library() {
  return symbols ??= Deno.dlopen("libc.so.6", SYMBOLS).symbols;
}

/** A netlink socket of one protocol. */
export class NetlinkSocket implements Disposable {
  readonly #fd: number;
  readonly #buffer = new Uint8Array(BUFFER);

  /**
   * @param protocol Such as `NETLINK_GENERIC`.
   * @throws {SystemError} If the kernel does not have it.
   */
  constructor(protocol: number) {
    const type = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC;
    this.#fd = done("opening a netlink socket", () => library().socket(AF_NETLINK, type, protocol));
  }

  /** Sends one or more complete messages to the kernel. */
  send(messages: Uint8Array<ArrayBuffer>): void {
    const length = BigInt(messages.length);
    done("asking the kernel over netlink", () => library().send(this.#fd, messages, length, 0));
  }

  /**
   * Reads the next datagram.
   *
   * @returns Its bytes, which are valid until the next call.
   * @throws {SystemError} If there is none (EAGAIN), it does not fit (EMSGSIZE), or answers were lost (ENOBUFS).
   */
  receive(): Uint8Array {
    const action = "reading the kernel's answer over netlink";
    const receive = () => library().recv(this.#fd, this.#buffer, BigInt(BUFFER), MSG_TRUNC);
    const length = done(action, receive);
    if (length > BUFFER) throw new SystemError(action, Errno.EMSGSIZE);
    return this.#buffer.subarray(0, length);
  }

  /** Closes the socket and erases what it read, which may include keys. */
  [Symbol.dispose](): void {
    library().close(this.#fd);
    this.#buffer.fill(0);
  }
}

/** Makes a call, and repeats it if a signal interrupts it. */
function done(action: string, call: () => number): number {
  for (;;) {
    const result = call();
    if (result >= 0) return result;
    const errno = new Deno.UnsafePointerView(library().__errno_location()!).getInt32();
    if (errno !== Errno.EINTR) throw new SystemError(action, errno);
  }
}
