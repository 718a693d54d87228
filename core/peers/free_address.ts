/**
 * Finds free addresses.
 *
 * @module
 */

import { formatAddress, parseAddress } from "../config/address.ts";
import { parsePrefix, type Prefix } from "../config/prefix.ts";

/**
 * Finds the lowest address of a server's subnet that is neither its own nor a peer's.
 *
 * @param own The server's address with its prefix length, as in `Address = 10.0.0.1/24`.
 * @param taken Networks of all peers. One that contains the whole subnet (0.0.0.0/0) uses no address in it.
 * @returns The address as text, or null if none is left, as in a subnet of one address.
 */
export function freeAddress(own: string, taken: readonly Prefix[]): string | null {
  const subnet = parsePrefix(own);
  const address = parseAddress(own.replace(/\/.*/, ""));
  if (subnet === null || address === null) return null;
  const bits = subnet.family === 4 ? 32 : 128;
  const start = toNumber(subnet.address);
  const size = 1n << BigInt(bits - subnet.length);
  const used = [{ first: toNumber(address), size: 1n }];
  for (const { family, address, length } of taken) {
    if (family === subnet.family && length > subnet.length) {
      used.push({ first: toNumber(address), size: 1n << BigInt(bits - length) });
    }
  }
  used.sort((a, b) => a.first < b.first ? -1 : a.first > b.first ? 1 : 0);
  // The first is the network's own (the anycast address of its routers in IPv6). The last one of IPv4 is for
  // broadcasts.
  let candidate = start + 1n;
  const end = subnet.family === 4 ? start + size - 1n : start + size;
  for (const { first, size } of used) {
    if (candidate < first) break;
    if (first + size > candidate) candidate = first + size;
  }
  return candidate < end ? formatAddress(toBytes(candidate, bits / 8)) : null;
}

function toNumber(address: Uint8Array): bigint {
  return address.reduce((number, byte) => number << 8n | BigInt(byte), 0n);
}

function toBytes(number: bigint, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => Number(number >> BigInt(8 * (length - 1 - i)) & 0xffn));
}
