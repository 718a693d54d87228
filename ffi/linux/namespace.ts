/**
 * Runs code of this thread in another network namespace. Sockets that it makes there stay there.
 *
 * @module
 */

import { CLONE_NEWNET, O_CLOEXEC } from "./constants.ts";
import { SystemError } from "./system_error.ts";

const SYMBOLS = {
  __errno_location: { parameters: [], result: "pointer" },
  open: { parameters: ["buffer", "i32"], result: "i32" },
  setns: { parameters: ["i32", "i32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
} as const;

let symbols: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] | undefined;

/** Not in libc.ts, because Deno compiles a call for each symbol, and programs that need these need no others. */
function library() {
  return symbols ??= Deno.dlopen("libc.so.6", SYMBOLS).symbols;
}

/**
 * Calls a function in another network namespace.
 *
 * @param path A file of the namespace.
 * @param work Must not be asynchronous, because other work of this thread would then run in that namespace, too.
 * @throws {SystemError} If there is no such namespace, or entering it is not permitted.
 */
export function inNamespace<Result>(path: string, work: () => Result): Result {
  const here = openFile("/proc/thread-self/ns/net");
  try {
    const there = openFile(path);
    try {
      check(library().setns(there, CLONE_NEWNET), `entering ${path}`);
    } finally {
      library().close(there);
    }
    try {
      return work();
    } finally {
      library().setns(here, CLONE_NEWNET);
    }
  } finally {
    library().close(here);
  }
}

function openFile(path: string): number {
  return check(library().open(new TextEncoder().encode(`${path}\0`), O_CLOEXEC), `opening ${path}`);
}

function check(result: number, action: string): number {
  if (result >= 0) return result;
  throw new SystemError(action, new Deno.UnsafePointerView(library().__errno_location()!).getInt32());
}
