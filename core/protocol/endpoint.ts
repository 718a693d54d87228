/**
 * An address on the outside, in the shape that the packet path compares and hands to the kernel: twelve numbers.
 *
 * @module
 */

import type { SocketAddress } from "../config/endpoint.ts";

/**
 * Where a peer is, and which of our own addresses it talks to.
 *
 * | word | content |
 * | --- | --- |
 * | 0 | family: 4 or 6; 0 is no endpoint |
 * | 1 | port |
 * | 2–5 | address as it is on the wire, read as native words; IPv4 has one |
 * | 6 | IPv6 scope id |
 * | 7 | interface index of our source address, 0 if unknown |
 * | 8–11 | our source address, zeros if unknown |
 */
export type EndpointWords = Uint32Array;

/** Length of {@linkcode EndpointWords}. */
export const ENDPOINT_WORDS = 12;
const ADDRESS = 2;
const SCOPE = 6;
const SOURCE = 7;

/** The words of a configured address; our own address is left to the routing table. */
export function endpointWords(address: SocketAddress): EndpointWords {
  const words = new Uint32Array(ENDPOINT_WORDS);
  words[0] = address.family;
  words[1] = address.port;
  words[SCOPE] = address.scope;
  new Uint8Array(words.buffer, 4 * ADDRESS, 16).set(address.address);
  return words;
}

/** The peer's side of an endpoint. */
export function socketAddress(words: EndpointWords): SocketAddress {
  const family = words[0] === 6 ? 6 : 4;
  return {
    family,
    address: addressBytes(words).slice(),
    port: words[1]!,
    scope: words[SCOPE]!,
  };
}

/** A view of the address as it is on the wire: 4 or 16 bytes. */
export function addressBytes(words: EndpointWords): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset + 4 * ADDRESS, words[0] === 6 ? 16 : 4);
}

/** Whether two endpoints agree in all twelve words. */
export function sameEndpoint(a: EndpointWords, b: EndpointWords): boolean {
  for (let i = 0; i < ENDPOINT_WORDS; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Forgets our own address, so that the routing table chooses anew. */
export function clearSource(words: EndpointWords): void {
  words.fill(0, SOURCE);
}
