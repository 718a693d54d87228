/**
 * Warnings of `up` that depend on the system's routes.
 *
 * @module
 */

import { formatAddress } from "../config/address.ts";
import { placeInFile } from "../config/config_error.ts";
import type { SocketAddress } from "../config/endpoint.ts";
import { endpointLoops, IPV6_MIN_MTU, loopWarning, usesIPv6 } from "../config/pitfalls.ts";
import type { WgConfig } from "../config/wg_config.ts";
import { readProgram } from "./run_program.ts";
import { routeMtu, type UpFacts } from "./plan/up.ts";
import type { QuickSource } from "./source.ts";

/**
 * Compares a file with the routes to its endpoints, before `up` adds its own routes.
 *
 * @param endpoints The address of each peer's endpoint.
 */
export async function routeWarnings(
  { path, config: { quick } }: QuickSource,
  wg: WgConfig,
  endpoints: readonly (SocketAddress | undefined)[],
  facts: UpFacts,
): Promise<string[]> {
  const warnings: string[] = [];
  const room = routeMtu(facts);
  if (quick.mtu === undefined && room < IPV6_MIN_MTU && usesIPv6(quick, wg)) {
    warnings.push(
      `${placeInFile(path, 0, "MTU")}: the route to the endpoint leaves ${room} bytes, but IPv6 needs ` +
        `${IPV6_MIN_MTU} (RFC 8200); so the MTU is ${IPV6_MIN_MTU}, and large packets are sent in fragments`,
    );
  }
  for (const loop of endpointLoops(quick, wg, endpoints.map((endpoint) => endpoint?.address))) {
    if (await routeLength(loop.address) > loop.network.length) continue;
    warnings.push(loopWarning(loop, path, true));
  }
  return warnings;
}

/** The prefix length of the route that an address takes; -1 if there is none. */
async function routeLength(address: Uint8Array): Promise<number> {
  const text = await readProgram(["ip", "-oneline", "route", "get", "fibmatch", formatAddress(address)]);
  const [network = ""] = text.split(" ");
  if (network === "default") return 0;
  if (!/^[0-9a-f.:/]+$/.test(network)) return -1;
  return Number(network.split("/")[1] ?? address.length * 8);
}
