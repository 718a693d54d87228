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

/** A process with more descriptors is not looked through to the end. New descriptors get the lowest free number. */
const MOST_DESCRIPTORS = 65_536;

/**
 * Prepares to turn Nagle's algorithm off, while the process may still use FFI.
 *
 * @returns Turns it off for all connections that are accepted from now on at the sockets on which this process listens. A
 * connection inherits the option from the listening socket (tcp(7)).
 */
export function prepareNoDelay(): () => void {
  const { getsockopt, setsockopt } = Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  const [listens, length, on] = [new Int32Array(1), new Uint32Array(1), new Int32Array([1])];
  return () => {
    // /proc/self/fd can only be read with all permissions of Deno.
    for (let fd = 0; fd < MOST_DESCRIPTORS; fd++) {
      listens[0] = 0;
      length[0] = 4;
      // Refused by a descriptor that is no socket.
      getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, listens, length);
      // Refused by sockets of other families.
      if (listens[0] === 1) setsockopt(fd, SOL_TCP, TCP_NODELAY, on, 4);
    }
  };
}
