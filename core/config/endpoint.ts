/**
 * Endpoints of peers: an address and a UDP port. This module does no I/O; names are looked up elsewhere.
 *
 * @module
 */

import { type Family, formatAddress, parseIPv4, parseIPv6 } from "./address.ts";
import { parseDecimal } from "./number.ts";

/** An IP address and port. */
export interface SocketAddress {
  /** 4 or 6. */
  readonly family: Family;
  /** Network order; 4 or 16 bytes. */
  readonly address: Uint8Array;
  /** 0 to 65535. */
  readonly port: number;
  /** Interface index that a link-local IPv6 address belongs to; 0 for none. */
  readonly scope: number;
}

/** An endpoint as text: the two arguments of `getaddrinfo`. */
export interface EndpointText {
  /** The whole text. */
  readonly text: string;
  /** A host name, an IPv4 address, or an IPv6 address without its brackets. */
  readonly host: string;
  /** A number or the name of a service. */
  readonly port: string;
}

/** Turns the name of a network interface into its index; 0 if there is no such interface. */
export type InterfaceIndex = (name: string) => number;

/**
 * Splits `host:port` or `[address]:port` as `wg` does. Without brackets it splits at the last colon, so `::1:51820` works too.
 *
 * @returns The two halves, or which of `]` and the port is missing.
 */
export function splitEndpoint(text: string): EndpointText | "brace" | "port" {
  if (text.startsWith("[")) {
    const close = text.indexOf("]");
    if (close < 0) return "brace";
    if (text[close + 1] !== ":" || close + 2 === text.length) return "port";
    return { text, host: text.slice(1, close), port: text.slice(close + 2) };
  }
  const colon = text.lastIndexOf(":");
  if (colon < 0 || colon + 1 === text.length) return "port";
  return { text, host: text.slice(0, colon), port: text.slice(colon + 1) };
}

/**
 * Reads the form that `formatSocketAddress` writes: `1.2.3.4:51820`, `[fd00::1]:51820`, `[fe80::1%2]:51820`. A scope may
 * also be the name of an interface if `interfaceIndex` is given.
 *
 * @returns The address, or null if any part of it is not a number, out of range, or an interface that is not there.
 */
export function parseSocketAddress(text: string, interfaceIndex?: InterfaceIndex): SocketAddress | null {
  const halves = splitEndpoint(text);
  if (typeof halves === "string") return null;
  const port = parseDecimal(halves.port, 0xffff);
  if (port === null) return null;
  if (!text.startsWith("[")) {
    const address = parseIPv4(halves.host);
    return address && { family: 4, address, port, scope: 0 };
  }
  const host = parseScopedIPv6(halves.host, interfaceIndex);
  return host && { family: 6, address: host.address, port, scope: host.scope };
}

/**
 * Reads `fd00::1`, `fe80::1%2` or, with the help of `interfaceIndex`, `fe80::1%eth0`.
 *
 * @returns The address and its scope (0 without one), or null.
 */
export function parseScopedIPv6(
  text: string,
  interfaceIndex?: InterfaceIndex,
): { address: Uint8Array; scope: number } | null {
  const percent = text.indexOf("%");
  const address = parseIPv6(percent < 0 ? text : text.slice(0, percent));
  if (address === null) return null;
  if (percent < 0) return { address, scope: 0 };
  const name = text.slice(percent + 1);
  // An interface may be named "7", so names come first; only link-local addresses have them (glibc, inet6_scopeid_pton).
  const scope = isLinkLocal(address) && interfaceIndex?.(name) || parseDecimal(name, 0xffffffff);
  return scope === null ? null : { address, scope };
}

/** Whether an address is valid on one link only: fe80::/10, or multicast of that scope. */
export function isLinkLocal(address: Uint8Array): boolean {
  return address[0] === 0xfe && (address[1]! & 0xc0) === 0x80 ||
    address[0] === 0xff && (address[1]! & 15) === 2;
}

/** Turns the index of a network interface into its name, or into decimal digits if there is no such interface. */
export type InterfaceName = (index: number) => string;

/**
 * Writes an endpoint as `getnameinfo` does without looking names up, IPv6 in brackets.
 *
 * @param interfaceName Returns the text for the scope of a link-local address; by default its number.
 */
export function formatSocketAddress(endpoint: SocketAddress, interfaceName?: InterfaceName): string {
  const host = formatScopedAddress(endpoint, interfaceName);
  return endpoint.family === 4 ? `${host}:${endpoint.port}` : `[${host}]:${endpoint.port}`;
}

/** Writes only the address of an endpoint: `1.2.3.4`, `fe80::1%2`. */
export function formatScopedAddress(
  { address, scope }: SocketAddress,
  interfaceName?: InterfaceName,
): string {
  const host = formatAddress(address);
  if (scope === 0) return host;
  return `${host}%${interfaceName && isLinkLocal(address) ? interfaceName(scope) : scope}`;
}
