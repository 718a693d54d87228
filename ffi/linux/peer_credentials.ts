/**
 * Finds the process that listens at a Unix socket.
 *
 * @module
 */

import {
  AF_UNIX,
  Errno,
  SO_PEERCRED,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  UCRED,
} from "./constants.ts";
import { unixAddress } from "./unix_socket.ts";

const SYMBOLS = {
  __errno_location: { parameters: [], result: "pointer" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
} as const;

let symbols: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] | undefined;

/** Not in libc.ts, because Deno compiles a call for each symbol, and programs that need these need no others. */
function library() {
  return symbols ??= Deno.dlopen("libc.so.6", SYMBOLS).symbols;
}

/**
 * The process that listens at a path (SO_PEERCRED, unix(7)).
 *
 * @returns Its PID in this process namespace; 0 if it is in another one or its backlog is full; undefined if no process
 * listens there or access is denied.
 */
export function listeningProcess(path: string): number | undefined {
  const { socket, connect, getsockopt, close } = library();
  const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return undefined;
  try {
    const address = unixAddress(path);
    if (connect(fd, address, address.length) !== 0) {
      const errno = new Deno.UnsafePointerView(library().__errno_location()!).getInt32();
      // Its backlog is full.
      return errno === Errno.EAGAIN ? 0 : undefined;
    }
    const credentials = new Uint8Array(UCRED.size);
    const length = new Uint32Array([UCRED.size]);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, length) !== 0) return undefined;
    return new DataView(credentials.buffer).getInt32(UCRED.pid, true);
  } finally {
    close(fd);
  }
}
