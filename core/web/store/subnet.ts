/**
 * Converts between addresses in a subnet and their offsets from its first address.
 *
 * @module
 */

import { formatAddress, parseAddress } from "../../config/address.ts";
import { formatPrefix, parsePrefix } from "../../config/prefix.ts";
import { SubnetError } from "./errors.ts";

/** Larger offsets are never used, and a number cannot represent them exactly. */
const MOST_HOSTS = 2 ** 48;

/**
 * Reads a server's address with its prefix length.
 *
 * @returns The subnet, and the offset of the address in it.
 * @throws {SubnetError} If it is not an address with a prefix length, or the subnet has no room for clients.
 */
export function readSubnet(text: string): { subnet: string; host: number } {
  const prefix = parsePrefix(text);
  const address = parseAddress(text.replace(/\/.*/, ""));
  if (!prefix || !address || !text.includes("/")) {
    throw new SubnetError(`not an address with its prefix length: "${text}"; write it as 10.8.0.1/24`);
  }
  const subnet = formatPrefix(prefix);
  if (lastHost(subnet) < 2) {
    throw new SubnetError(`${text} has no addresses for clients; use a shorter prefix length`);
  }
  return { subnet, host: hostOf(subnet, address)! };
}

/** The last offset that can be assigned. The last address of an IPv4 subnet is for broadcasts. */
export function lastHost(subnet: string): number {
  const { family, length } = parsePrefix(subnet)!;
  const bits = (family === 4 ? 32 : 128) - length;
  return Math.min(2 ** bits, MOST_HOSTS) - (family === 4 ? 2 : 1);
}

/** The address at an offset. */
export function formatHost(subnet: string, host: number): string {
  const { address } = parsePrefix(subnet)!;
  const bytes = Uint8Array.from(address);
  let rest = host;
  for (let at = bytes.length - 1; rest > 0; at--) {
    const sum = bytes[at]! + rest % 256;
    bytes[at] = sum & 0xff;
    rest = Math.floor(rest / 256) + (sum >> 8);
  }
  return formatAddress(bytes);
}

/** The offset of an address; undefined if it is not in the subnet or too large. */
export function hostOf(subnet: string, address: Uint8Array): number | undefined {
  const { address: first, length } = parsePrefix(subnet)!;
  if (first.length !== address.length) return undefined;
  let host = 0;
  for (let at = 0; at < first.length; at++) {
    const kept = Math.min(8, Math.max(0, length - 8 * at));
    const mask = 0xff << (8 - kept) & 0xff;
    if ((address[at]! & mask) !== first[at]!) return undefined;
    host = host * 256 + (address[at]! & ~mask);
  }
  return host < MOST_HOSTS ? host : undefined;
}
