/**
 * Finds settings that `wg` and `wg-quick` accept although they cannot work, or do not work as intended.
 *
 * @module
 */

import { parseAddress } from "./address.ts";
import { ConfigError, placeInFile } from "./config_error.ts";
import { equalBytes, type Key } from "./key.ts";
import { formatPrefix, makePrefix, type Prefix } from "./prefix.ts";
import type { QuickOptions } from "./quick_config.ts";
import type { PeerConfig, WgConfig } from "./wg_config.ts";

/**
 * The smallest MTU of a link with IPv6 (RFC 8200, section 5). The kernel removes IPv6 from an interface with a smaller
 * MTU.
 */
export const IPV6_MIN_MTU = 1_280;

/** Whether an address in a file is an IPv6 address. */
export function isIPv6(address: string): boolean {
  return address.includes(":");
}

/** Whether a file has IPv6 addresses or networks. */
export function usesIPv6({ address }: Pick<QuickOptions, "address">, wg: WgConfig): boolean {
  return address.some(isIPv6) || routesIPv6(wg);
}

/** Whether the MTU of a file is too small for IPv6. */
export function excludesIPv6({ mtu }: Pick<QuickOptions, "mtu">): boolean {
  return mtu !== undefined && mtu < IPV6_MIN_MTU;
}

/**
 * Checks a file that uses IPv6 with an MTU that is too small for it.
 *
 * If it has IPv6 networks to route, wg-quick fails in the middle of `up`, so this is an error. If it has none, wg-quick
 * comes up, and the kernel removes the IPv6 addresses, so this is a warning.
 */
export function mtuPitfall(
  quick: QuickOptions,
  wg: WgConfig,
  file: string,
): { error?: ConfigError; warning?: string } {
  if (!excludesIPv6(quick) || !usesIPv6(quick, wg)) return {};
  const { mtu, mtuLine = 0, table } = quick;
  const found = `found ${mtu}, but IPv6 needs ${IPV6_MIN_MTU} (RFC 8200)`;
  const fix = `set MTU = ${IPV6_MIN_MTU} or more, or remove the IPv6 addresses and networks from the file`;
  if (table !== "off" && routesIPv6(wg)) {
    const message = `The MTU is too small for IPv6: \`${mtu}'`;
    return { error: new ConfigError(message, file, mtuLine, "MTU", `${found}; ${fix}`) };
  }
  const effect = "the interface comes up without its IPv6 addresses";
  return { warning: `${placeInFile(file, mtuLine, "MTU")}: ${found}: ${effect}; ${fix}` };
}

/**
 * Whether a peer has the interface's own key: no implementation of WireGuard accepts such a peer, but `wg` reports no
 * error.
 */
export function isOwnPeer({ publicKey }: Pick<PeerConfig, "publicKey">, ownKey: Key | undefined): boolean {
  return ownKey !== undefined && equalBytes(publicKey, ownKey);
}

/** The error for a peer that has the interface's own key. */
export function ownPeerError({ publicKeyLine = 0 }: PeerConfig, file: string): ConfigError {
  return new ConfigError(
    "A peer has the public key of the interface itself",
    file,
    publicKeyLine,
    "PublicKey",
    "found the interface's own key, expected the peer's; this peer is left out",
  );
}

/** A peer whose endpoint is in the AllowedIPs of a peer. */
export interface EndpointLoop {
  /** The peer. */
  readonly peer: PeerConfig;
  /** Its endpoint's address. */
  readonly address: Uint8Array;
  /** The narrowest network in AllowedIPs that contains the address. */
  readonly network: Prefix;
}

/**
 * Finds endpoints in AllowedIPs. The route that `up` adds would send packets for such a peer into the tunnel, unless
 * the system has a more specific route. A default route is not such a case, because `up` keeps the tunnel's own packets
 * out of the tunnel.
 *
 * @param addresses The address of each peer's endpoint, if it is known.
 */
export function endpointLoops(
  { table = "auto" }: Pick<QuickOptions, "table">,
  { peers }: WgConfig,
  addresses: readonly (Uint8Array | undefined)[],
): EndpointLoop[] {
  if (table !== "auto" || !addresses.some(Boolean)) return [];
  const networks = new Set<string>();
  const lengths = new Set<number>();
  for (const { allowedIps } of peers) {
    for (const { remove, prefix } of allowedIps) {
      if (remove || prefix.length === 0) continue;
      networks.add(formatPrefix(prefix));
      lengths.add(prefix.length);
    }
  }
  const longestFirst = [...lengths].sort((a, b) => b - a);
  return peers.flatMap((peer, index) => {
    const address = addresses[index];
    if (address === undefined) return [];
    const around = longestFirst.filter((length) => length <= address.length * 8)
      .map((length) => makePrefix(address.slice(), length));
    const network = around.find((prefix) => networks.has(formatPrefix(prefix)));
    return network ? [{ peer, address, network }] : [];
  });
}

/** The addresses of endpoints that are not names in the file. */
export function numericEndpoints({ peers }: WgConfig): (Uint8Array | undefined)[] {
  return peers.map(({ endpoint }) => endpoint && parseAddress(endpoint.host) || undefined);
}

/**
 * The warning for an endpoint in AllowedIPs.
 *
 * @param certain Whether it is known that the system has no route that keeps these packets out of the tunnel.
 */
export function loopWarning(
  { peer: { endpoint, endpointLine = 0 }, network }: EndpointLoop,
  file: string,
  certain: boolean,
): string {
  const host = endpoint?.host ?? "";
  return `${placeInFile(file, endpointLine, "Endpoint")}: ${host} is in AllowedIPs (${
    formatPrefix(network)
  }), ` +
    "so packets to it would go into the tunnel itself" +
    (certain ? "" : ", unless a more specific route leads to it") +
    `; remove it from AllowedIPs, or add a route to it: PreUp = ip route add ${host} via GATEWAY`;
}

function routesIPv6({ peers }: WgConfig): boolean {
  return peers.some(({ allowedIps }) =>
    allowedIps.some(({ remove, prefix }) => !remove && prefix.family === 6)
  );
}
