/**
 * Numbers of the system: of network interfaces, services and errors.
 *
 * @module
 */

import { anyLinkIndex, linkName } from "../../ffi/linux/link_names.ts";
import type { InterfaceIndex, InterfaceName } from "../config/endpoint.ts";
import type { ServicePort } from "../config/number.ts";

/** The errno behind an error of Deno's, or undefined if no system call failed. */
export function errnoOf(error: unknown): number | undefined {
  // Deno has no property for the number, but the message of such an error contains it.
  const match = error instanceof Error ? /\(os error (\d+)\)/.exec(error.message) : null;
  return match ? Number(match[1]) : undefined;
}

export { Errno } from "../uapi/errno.ts";
export { linkIndex, linkName } from "../../ffi/linux/link_names.ts";

/** Finds the index of the network interface that an endpoint names; 0 if there is none of that name. */
export const interfaceIndex: InterfaceIndex = anyLinkIndex;

/** Finds the name of a network interface by its index; the index itself in decimal if there is none. */
export const interfaceName: InterfaceName = (index): string => linkName(index) ?? String(index);

/** Looks a UDP service up in /etc/services, by its name or an alias. */
export const servicePort: ServicePort = (name): number | null => {
  for (const line of readLines("/etc/services")) {
    const [service, port, ...aliases] = line.replace(/#.*/, "").trim().split(/\s+/);
    const udp = /^(\d+)\/udp$/.exec(port ?? "");
    if (udp && (service === name || aliases.includes(name))) return Number(udp[1]);
  }
  return null;
};

function readLines(path: string): string[] {
  try {
    return Deno.readTextFileSync(path).split("\n");
  } catch {
    return [];
  }
}
