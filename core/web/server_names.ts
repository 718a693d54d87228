/**
 * The names in the certificate of the page. They depend as little as possible on the moment, because each new name
 * causes a new certificate at the next start, which people must accept again.
 *
 * @module
 */

import type { ListenAddress } from "./listening.ts";
import { SUGGESTED_ADDRESS } from "./page/suggested_address.ts";
import type { Network } from "./store/records.ts";

/** What the machine calls itself. */
export interface Machine {
  readonly hostname: string;
  /** Addresses of its interfaces. */
  readonly addresses: readonly string[];
}

/** All names with which a browser may address this server. */
export function serverNames(
  { hostname }: Pick<ListenAddress, "hostname">,
  networks: readonly Pick<Network, "endpoint" | "addresses">[],
  machine: Machine,
): string[] {
  const endpoints = networks.map(({ endpoint }) => endpoint.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1"));
  // Also while the interface is not up, and before the first network is made.
  const tunnels = networks.length === 0
    ? [SUGGESTED_ADDRESS]
    : networks.flatMap(({ addresses }) => addresses);
  const listening = /^(0\.0\.0\.0|::)$/.test(hostname) ? [] : [hostname];
  // Browsers do not support addresses with an interface, such as link-local addresses (RFC 6874 is obsolete).
  const own = [...tunnels.map((address) => address.replace(/\/\d+$/, "")), ...machine.addresses]
    .map((address) => address.replace(/%.*/, ""))
    .filter((address) => !/^fe[89ab]/i.test(address));
  return [...new Set([...listening, ...endpoints, machine.hostname, "localhost", ...own])].slice(0, 64);
}
