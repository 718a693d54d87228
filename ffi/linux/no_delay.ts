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

let symbols: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] | undefined;

/** Apart from libc.ts: Deno compiles a call for each symbol, and servers need no other. */
function library() {
  return symbols ??= Deno.dlopen("libc.so.6", SYMBOLS).symbols;
}

/**
 * Turns Nagle's algorithm off for all connections that this process accepts from now on. A connection inherits the option
 * from the listening socket (tcp(7)).
 */
export function sendWithoutDelay(): void {
  const on = new Int32Array([1]);
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    // Sockets of other families refuse the option.
    if (isListening(Number(name))) library().setsockopt(Number(name), SOL_TCP, TCP_NODELAY, on, 4);
  }
}

function isListening(fd: number): boolean {
  const value = new Int32Array(1);
  // Refused by a descriptor that is no socket.
  library().getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, value, new Uint32Array([4]));
  return value[0] === 1;
}
