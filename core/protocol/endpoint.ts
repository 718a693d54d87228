/**
 * An outer address in the form that the packet path compares and passes to the kernel: twelve numbers.
 *
 * @module
 */

import type { SocketAddress } from "../config/endpoint.ts";

/**
 * Where a peer is, and which of our own addresses it uses.
 *
 * | word | content |
 * | --- | --- |
 * | 0 | family: 4 or 6; 0 is no endpoint |
 * | 1 | port |
 * | 2–5 | address as it is on the wire, read as little-endian words; IPv4 has one |
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

/** The words of a configured address. The routing table selects our own address. */
export function endpointWords({ family, address, port, scope }: SocketAddress): EndpointWords {
  const words = new Uint32Array(ENDPOINT_WORDS);
  words[0] = family;
  words[1] = port;
  // Not through a second view: reading the buffer of a small array moves it off the heap, where it takes three times
  // the memory. There may be a hundred thousand endpoints.
  for (let i = 0; i < address.length; i++) words[ADDRESS + (i >> 2)]! |= address[i]! << 8 * (i & 3);
  words[SCOPE] = scope;
  return words;
}

/** The peer's side of an endpoint. */
export function socketAddress(words: EndpointWords): SocketAddress {
  return {
    family: words[0] === 6 ? 6 : 4,
    address: addressBytes(words),
    port: words[1]!,
    scope: words[SCOPE]!,
  };
}

/** The address as it is on the wire: 4 or 16 bytes. */
export function addressBytes(words: EndpointWords): Uint8Array {
  const address = new Uint8Array(words[0] === 6 ? 16 : 4);
  for (let i = 0; i < address.length; i++) address[i] = words[ADDRESS + (i >> 2)]! >>> 8 * (i & 3);
  return address;
}

/** Whether two endpoints agree in all twelve words. */
export function sameEndpoint(a: EndpointWords, b: EndpointWords): boolean {
  for (let i = 0; i < ENDPOINT_WORDS; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Whether our own address is known. */
export function hasSource(words: EndpointWords): boolean {
  return (words[8]! | words[9]! | words[10]! | words[11]!) !== 0;
}

/** Clears our own address, so that the routing table selects one. */
export function clearSource(words: EndpointWords): void {
  words.fill(0, SOURCE);
}
