/**
 * Names and indexes of interfaces in this network namespace. /sys/class/net has those of the namespace in which it was
 * mounted, which differs after `nsenter --net`.
 *
 * @module
 */

import { cString } from "./libc.ts";
import { IF_NAMEINDEX } from "./constants.ts";

const SYMBOLS = {
  if_nametoindex: { parameters: ["buffer"], result: "u32" },
  if_nameindex: { parameters: [], result: "pointer" },
  if_freenameindex: { parameters: ["pointer"], result: "void" },
} as const;

let symbols: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] | undefined;

/** Not in libc.ts, because Deno compiles a call for each symbol, and programs that need these need no others. */
function library() {
  return symbols ??= Deno.dlopen("libc.so.6", SYMBOLS).symbols;
}

/**
 * The index of an interface; 0 if there is none of that name. It searches the list of all interfaces, because a lookup
 * of one name makes the kernel try to load a module of that name (SIOCGIFINDEX, dev_load).
 */
export function linkIndex(name: string): number {
  return links().find((link) => link.name === name)?.index ?? 0;
}

/** The same for an interface that is expected to exist. It also accepts an alternative name (`ip link property`). */
export function anyLinkIndex(name: string): number {
  // The kernel ends a name at a colon, and C at a zero.
  return linkIndex(name) || (/[:\0]/.test(name) ? 0 : library().if_nametoindex(cString(name)));
}

/** The name of an interface; undefined if there is none with that index. */
export function linkName(index: number): string | undefined {
  return links().find((link) => link.index === index)?.name;
}

function links(): { name: string; index: number }[] {
  const list = library().if_nameindex();
  if (list === null) return [];
  const view = new Deno.UnsafePointerView(list);
  const found = [];
  for (let at = 0;; at += IF_NAMEINDEX.size) {
    const index = view.getUint32(at + IF_NAMEINDEX.index);
    if (index === 0) break;
    const name = Deno.UnsafePointerView.getCString(view.getPointer(at + IF_NAMEINDEX.name)!);
    found.push({ name, index });
  }
  library().if_freenameindex(list);
  return found;
}
