/**
 * Names and numbers of interfaces in our network namespace. /sys/class/net has those of the namespace it was mounted
 * in, which after `nsenter --net` is another.
 *
 * @module
 */

import { cString } from "./libc.ts";
import { IFNAMSIZ } from "./linux.ts";

const SYMBOLS = {
  if_nametoindex: { parameters: ["buffer"], result: "u32" },
  if_indextoname: { parameters: ["u32", "buffer"], result: "pointer" },
} as const;

let symbols: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] | undefined;

/** Apart from libc.ts: Deno compiles a call for each symbol, and programs that need these need no other. */
function library() {
  return symbols ??= Deno.dlopen("libc.so.6", SYMBOLS).symbols;
}

/** The kernel's number of an interface; 0 if there is none of that name. */
export function linkIndex(name: string): number {
  return library().if_nametoindex(cString(name));
}

/** The name of an interface; nothing if there is none of that number. */
export function linkName(index: number): string | undefined {
  const name = new Uint8Array(IFNAMSIZ);
  if (library().if_indextoname(index, name) === null) return undefined;
  return new TextDecoder().decode(name.subarray(0, name.indexOf(0)));
}
