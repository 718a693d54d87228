/**
 * Names and numbers of interfaces in our network namespace. /sys/class/net has those of the namespace it was mounted
 * in, which after `nsenter --net` is another.
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

/** Apart from libc.ts: Deno compiles a call for each symbol, and programs that need these need no other. */
function library() {
  return symbols ??= Deno.dlopen("libc.so.6", SYMBOLS).symbols;
}

/**
 * The kernel's number of an interface; 0 if there is none of that name. The list of all is asked for: to ask for one name
 * has the kernel look for a module of that name (SIOCGIFINDEX, dev_load).
 */
export function linkIndex(name: string): number {
  return links().find((link) => link.name === name)?.index ?? 0;
}

/** The same of an interface that is expected to be there, by an alternative name (`ip link property`) too. */
export function anyLinkIndex(name: string): number {
  // The kernel cuts a name at a colon, and C at a zero.
  return linkIndex(name) || (/[:\0]/.test(name) ? 0 : library().if_nametoindex(cString(name)));
}

/** The name of an interface; nothing if there is none of that number. */
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
