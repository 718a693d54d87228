/**
 * Numbers of the system: interface indexes, service ports and errnos.
 *
 * @module
 */

import { anyLinkIndex, linkName } from "../../ffi/linux/link_names.ts";
import type { InterfaceIndex, InterfaceName } from "../config/endpoint.ts";

/** The errno behind an error of Deno's, or undefined if no system call failed. */
export function errnoOf(error: unknown): number | undefined {
  // Deno's errors have no property for the number, but their message contains it.
  const match = error instanceof Error ? /\(os error (\d+)\)/.exec(error.message) : null;
  return match ? Number(match[1]) : undefined;
}

export { Errno } from "../uapi/errno.ts";
export { servicePort } from "./services.ts";
export { linkIndex, linkName } from "../../ffi/linux/link_names.ts";

/** Finds the index of the network interface in the scope of an endpoint; 0 if there is no such interface. */
export const interfaceIndex: InterfaceIndex = anyLinkIndex;

/** Finds the name of a network interface by its index; the index itself in decimal if there is none. */
export const interfaceName: InterfaceName = (index): string => linkName(index) ?? String(index);
