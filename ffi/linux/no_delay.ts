/**
 * Servers that send each response at once. Deno does not turn Nagle's algorithm off (RFC 896) for TLS: the last segment of
 * a response then waits for an acknowledgement, which Linux delays by 40 ms (TCP_DELACK_MIN).
 *
 * @module
 */

import { SO_ACCEPTCONN, SOL_SOCKET, SOL_TCP, TCP_NODELAY } from "./constants.ts";

const SYMBOLS = {
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
} as const;

/** Descriptors above this number are not searched. New descriptors get the lowest free number. */
const MOST_DESCRIPTORS = 65_536;

/**
 * Prepares to turn Nagle's algorithm off, while the process may still use FFI.
 *
 * @returns A function that turns it off for all connections that are accepted from now on at this process's listening
 * sockets. A connection inherits the option from the listening socket (tcp(7)).
 */
export function prepareNoDelay(): () => void {
  const { getsockopt, setsockopt } = Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  const [listens, length, on] = [new Int32Array(1), new Uint32Array(1), new Int32Array([1])];
  return () => {
    // /proc/self/fd can only be read with all permissions of Deno.
    for (let fd = 0; fd < MOST_DESCRIPTORS; fd++) {
      listens[0] = 0;
      length[0] = 4;
      // A descriptor that is not a socket refuses this.
      getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, listens, length);
      // Sockets of other families refuse this.
      if (listens[0] === 1) setsockopt(fd, SOL_TCP, TCP_NODELAY, on, 4);
    }
  };
}
