/**
 * The endpoint and the subnets of a server.
 *
 * @module
 */

import { readSubnet } from "./store/subnet.ts";

/** The usual port of WireGuard servers. */
const DEFAULT_PORT = 51820;

/** An endpoint that clients cannot use. */
export class EndpointError extends Error {
  /** Distinguishes this kind of error from others. */
  override name = "EndpointError";
  /** What to do about it. */
  readonly hint = "write it as vpn.example:51820 or [2001:db8::1]:51820";
}

/**
 * Parses an endpoint: a host with or without a port.
 *
 * @param defaultPort The port if the text has none.
 * @returns The endpoint with its port, and the port.
 * @throws {EndpointError} If it is invalid.
 */
export function readServerEndpoint(
  text: string,
  defaultPort = DEFAULT_PORT,
): { endpoint: string; port: number } {
  const bare = /^\[[^\]]+\]$/.test(text) || !text.includes(":");
  const endpoint = bare ? `${text}:${defaultPort}` : text;
  const port = Number(
    /^(?:\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9][a-zA-Z0-9_.-]{0,252}):(\d{1,5})$/.exec(endpoint)?.[1],
  );
  if (!(port >= 1 && port <= 65535)) throw new EndpointError(`clients cannot use the endpoint "${text}"`);
  return { endpoint, port };
}

/**
 * The default allowed IPs of clients: the network's own subnets.
 *
 * @throws {SubnetError} If an address has no room for clients.
 */
export function ownSubnets(addresses: readonly string[]): string[] {
  return addresses.map((address) => readSubnet(address).subnet);
}
