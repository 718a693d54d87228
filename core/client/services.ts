/**
 * Services of the system by name.
 *
 * @module
 */

import type { ServicePort } from "../config/number.ts";

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
