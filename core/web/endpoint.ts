/**
 * Where a server is found, and what it has to give.
 *
 * @module
 */

import { readSubnet } from "./store/subnet.ts";

/** The port of WireGuard servers that say no other. */
const DEFAULT_PORT = 51820;

/** Clients cannot use an endpoint. */
export class EndpointError extends Error {
  /** Tells this kind of error from others. */
  override name = "EndpointError";
  /** What to do about it. */
  readonly hint = "write it as vpn.example:51820 or [2001:db8::1]:51820";
}

/**
 * Reads an endpoint that is a host with or without a port.
 *
 * @returns It with its port, and the port.
 * @throws {EndpointError} If it is none.
 */
export function readServerEndpoint(text: string): { endpoint: string; port: number } {
  const bare = /^\[[^\]]+\]$/.test(text) || !text.includes(":");
  const endpoint = bare ? `${text}:${DEFAULT_PORT}` : text;
  const port = Number(
    /^(?:\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9][a-zA-Z0-9_.-]{0,252}):(\d{1,5})$/.exec(endpoint)?.[1],
  );
  if (!(port >= 1 && port <= 65535)) throw new EndpointError(`clients cannot use the endpoint "${text}"`);
  return { endpoint, port };
}

/**
 * What clients send into the tunnel unless someone says otherwise: what is for the network itself.
 *
 * @throws {SubnetError} If an address has no room for clients.
 */
export function ownSubnets(addresses: readonly string[]): string[] {
  return addresses.map((address) => readSubnet(address).subnet);
}
