/**
 * Networks as in AllowedIPs: an address and the number of leading bits that count.
 *
 * @module
 */

import { type Family, formatAddress, parseAddress } from "./address.ts";
import { parseDecimal } from "./number.ts";

/** A network. Its host bits are zero: `parsePrefix` and `makePrefix` clear them. */
export interface Prefix {
  /** 4 or 6. */
  readonly family: Family;
  /** Network order; 4 or 16 bytes. */
  readonly address: Uint8Array;
  /** Leading bits that count: 0 to 32, or 0 to 128. */
  readonly length: number;
}

/** An allowed IP to add to a peer, or to remove from it. Another peer that has it loses it. */
export interface AllowedIpChange {
  /** Removes it from the peer, if the peer has exactly this network. */
  remove: boolean;
  /** The network. */
  prefix: Prefix;
}

/**
 * Makes a prefix of an address and clears the bits after it.
 *
 * @param address 4 or 16 bytes in network order; changed in place and kept.
 * @param length Bits; must be within the family's range.
 */
export function makePrefix(address: Uint8Array, length: number): Prefix {
  const full = length >> 3;
  if (full < address.length) {
    address[full]! &= 0xff00 >> (length & 7);
    address.fill(0, full + 1);
  }
  return { family: address.length === 4 ? 4 : 6, address, length };
}

/** Whether bits after the prefix are set, as in 10.0.0.1/24. */
export function hasHostPart(address: Uint8Array, length: number): boolean {
  const full = length >> 3;
  if (full >= address.length) return false;
  let bits = address[full]! & (0xff >> (length & 7));
  for (let i = full + 1; i < address.length; i++) bits |= address[i]!;
  return bits !== 0;
}

/**
 * Reads `10.0.0.0/8`, `fd00::/8`, or a bare address, which means all of its bits.
 *
 * @example
 * ```ts
 * import { parsePrefix } from "@wgd/wgd";
 * import { equal } from "node:assert/strict";
 *
 * equal(parsePrefix("10.0.0.1")?.length, 32);
 * equal(parsePrefix("10.0.0.0/33"), null);
 * ```
 *
 * @returns The prefix with its host bits cleared, or null.
 */
export function parsePrefix(text: string): Prefix | null {
  const slash = text.indexOf("/");
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === null) return null;
  const bits = address.length * 8;
  const length = slash < 0 ? bits : parseDecimal(text.slice(slash + 1), bits);
  return length === null ? null : makePrefix(address, length);
}

/**
 * Writes a prefix, its length always given: `10.0.0.1/32`.
 *
 * @example
 * ```ts
 * import { formatPrefix, parsePrefix } from "@wgd/wgd";
 * import { equal } from "node:assert/strict";
 *
 * equal(formatPrefix(parsePrefix("fd00::1/8")!), "fd00::/8");
 * ```
 */
export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix.address)}/${prefix.length}`;
}

/** Whether a network contains another one; every network contains itself. */
export function containsPrefix(wider: Prefix, prefix: Prefix): boolean {
  if (wider.family !== prefix.family || wider.length > prefix.length) return false;
  for (let bit = 0; bit < wider.length; bit += 8) {
    const mask = 0xff00 >> Math.min(8, wider.length - bit) & 0xff;
    if (((wider.address[bit >> 3]! ^ prefix.address[bit >> 3]!) & mask) !== 0) return false;
  }
  return true;
}

/** Whether two networks have an address in common. */
export function overlap(one: Prefix, other: Prefix): boolean {
  return containsPrefix(one, other) || containsPrefix(other, one);
}
