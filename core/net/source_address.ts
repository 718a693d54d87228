/**
 * The source address of a packet that a host with several addresses sends.
 *
 * @module
 */

/**
 * Our source address for a destination: the one that shares the longest prefix with it.
 *
 * @throws {RangeError} If we have none of that family.
 */
export function sourceAddress(addresses: readonly Uint8Array[], remote: Uint8Array): Uint8Array {
  const ours = addresses.filter((address) => address.length === remote.length);
  if (ours.length === 0) {
    throw new RangeError(`the tunnel has no IPv${remote.length === 4 ? 4 : 6} address`);
  }
  return ours.reduce((best, address) =>
    commonBits(address, remote) > commonBits(best, remote) ? address : best
  );
}

function commonBits(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return 8 * i + Math.clz32(a[i]! ^ b[i]!) - 24;
  return 8 * a.length;
}
