/**
 * Which networks can be behind a device.
 *
 * @module
 */

import { overlap, parsePrefix, type Prefix } from "../config/prefix.ts";

/** A route must not take most of the Internet. */
const SHORTEST_PREFIX = 8;
/** All routes of an interface together take at most this part of a family's addresses. */
const LARGEST_PART = 1 / 16;

/**
 * Unspecified, loopback and link-local addresses, with the metadata of clouds among them, and those that are no single
 * machine's (RFC 6890). No router of another site has them behind it.
 */
const RESERVED = [
  ...["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"],
  ...["::/16", "fe80::/10", "ff00::/8"],
].map((text) => parsePrefix(text)!);

/** Whether a network can be behind a device. */
export function canBeBehind(prefix: Prefix): boolean {
  return prefix.length >= SHORTEST_PREFIX && !RESERVED.some((reserved) => overlap(reserved, prefix));
}

/** Whether a text is such a network. */
export function isRoutedNetwork(text: string): boolean {
  return whyNotBehind(text) === undefined;
}

/** Why a text is no such network. */
export function whyNotBehind(text: string): "no-network" | "too-large" | "reserved" | undefined {
  const prefix = parsePrefix(text);
  if (prefix === null) return "no-network";
  if (prefix.length < SHORTEST_PREFIX) return "too-large";
  return canBeBehind(prefix) ? undefined : "reserved";
}

/** Whether networks take so many addresses that much of the Internet is among them. */
export function takeTooMuch(networks: readonly string[]): boolean {
  return [4, 6].some((family) =>
    networks.map((text) => parsePrefix(text)!).filter((prefix) => prefix.family === family)
      .reduce((part, { length }) => part + 2 ** -length, 0) > LARGEST_PART
  );
}
