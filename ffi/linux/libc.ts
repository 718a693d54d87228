/**
 * The C library, opened once per thread, on first use. The functions of the packet path take pointer objects
 * (`ArenaPointer` in arena.ts) and return `i32`, so that V8 calls C directly. The others take addresses as numbers.
 *
 * @module
 */

import { SystemError } from "./system_error.ts";

const SYMBOLS = {
  __errno_location: { parameters: [], result: "pointer" },
  strerror: { parameters: ["i32"], result: "pointer" },
  open: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  read: { parameters: ["i32", "pointer", "usize"], result: "i32" },
  write: { parameters: ["i32", "pointer", "usize"], result: "i32" },
  writev: { parameters: ["i32", "pointer", "i32"], result: "i32" },
  ioctl: { parameters: ["i32", "usize", "usize"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  accept4: { parameters: ["i32", "usize", "usize", "i32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  sendmsg: { parameters: ["i32", "pointer", "i32"], result: "i32" },
  recvmsg: { parameters: ["i32", "pointer", "i32"], result: "i32" },
  send: { parameters: ["i32", "usize", "usize", "i32"], result: "i32" },
  recv: { parameters: ["i32", "usize", "usize", "i32"], result: "i32" },
  epoll_create1: { parameters: ["i32"], result: "i32" },
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  epoll_wait: { parameters: ["i32", "pointer", "i32", "i32"], result: "i32" },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  timerfd_create: { parameters: ["i32", "i32"], result: "i32" },
  timerfd_settime: { parameters: ["i32", "i32", "pointer", "pointer"], result: "i32" },
  clock_gettime: { parameters: ["i32", "pointer"], result: "i32" },
  inotify_init1: { parameters: ["i32"], result: "i32" },
  inotify_add_watch: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  setns: { parameters: ["i32", "i32"], result: "i32" },
  dup2: { parameters: ["i32", "i32"], result: "i32" },
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  setsid: { parameters: [], result: "i32" },
  chmod: { parameters: ["buffer", "u32"], result: "i32" },
  syscall: { parameters: ["i64", "i64", "buffer", "i64", "i64"], result: "i64" },
  umask: { parameters: ["u32"], result: "u32" },
} as const satisfies Deno.ForeignLibraryInterface;

type Symbols = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
/**
 * Deno's types require a BigInt for `usize`. At run time Deno also accepts a number, but slowly (see `ArenaPointer`).
 */
type WithNumbers<F> = F extends (...parameters: infer P) => infer R
  ? (...parameters: { [K in keyof P]: P[K] extends bigint ? number | bigint : P[K] }) => R
  : never;
/** The C library's functions, with addresses and sizes as numbers. */
export type Libc = { [Name in keyof Symbols]: WithNumbers<Symbols[Name]> };

let symbols: Libc | undefined;

/**
 * The C library's functions.
 *
 * @throws {Error} If this is not glibc on Linux, x86-64 or arm64. Struct layouts are known only for these.
 */
export function libc(): Libc {
  return symbols ??= open().symbols as unknown as Libc;
}

function open(): Deno.DynamicLibrary<typeof SYMBOLS> {
  const { os, arch } = Deno.build;
  if (os !== "linux" || (arch !== "x86_64" && arch !== "aarch64")) {
    throw new Error(`wgd needs Linux on x86-64 or arm64, and this is ${os} on ${arch}`);
  }
  try {
    return Deno.dlopen("libc.so.6", SYMBOLS);
  } catch (cause) {
    throw new Error("wgd needs the GNU C library (libc.so.6), which this system does not have", { cause });
  }
}

let errnoView: Deno.UnsafePointerView | undefined;

/** The errno of this thread's last failed call. Only meaningful right after one. */
export function errno(): number {
  errnoView ??= new Deno.UnsafePointerView(libc().__errno_location()!);
  return errnoView.getInt32();
}

/**
 * The C library's text for an errno, as the end of a sentence. Node has the same texts, but takes 8 ms to load in each
 * thread.
 */
export function errorText(errno: number): string {
  const text = new Deno.UnsafePointerView(libc().strerror(errno)!).getCString();
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/** Returns a result, or throws the error of errno. */
export function check(
  result: number,
  action: string,
  hint?: string | ((errno: number) => string | undefined),
): number {
  if (result >= 0) return result;
  const code = errno();
  throw new SystemError(action, code, typeof hint === "function" ? hint(code) : hint);
}

/** A path or name as C reads it. */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}

/** Closes a descriptor. Errors of close are ignored, because nothing can be done about them. */
export function close(fd: number): void {
  libc().close(fd);
}
