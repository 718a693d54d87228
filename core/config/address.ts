/**
 * IP addresses as text, by the rules of `inet_pton` and `inet_ntop` in glibc.
 *
 * @module
 */

/** The two families of IP, by their version numbers. */
export type Family = 4 | 6;

/**
 * Reads four decimal numbers, strictly: no leading zeros, no short or hexadecimal forms.
 *
 * @returns Four bytes in network order, or null.
 */
export function parseIPv4(text: string): Uint8Array | null {
  const bytes = new Uint8Array(4);
  return readIPv4(text, 0, bytes, 0) ? bytes : null;
}

/**
 * Reads an IPv6 address; its last four bytes may be written in decimal. A scope (`%eth0`) or brackets are an error.
 *
 * @returns Sixteen bytes in network order, or null.
 */
export function parseIPv6(text: string): Uint8Array | null {
  const bytes = new Uint8Array(16);
  const end = text.length;
  let filled = 0;
  let gap = -1;
  let at = 0;
  if (text.charCodeAt(0) === COLON) {
    if (text.charCodeAt(1) !== COLON) return null;
    gap = 0;
    at = 2;
  }
  while (at < end) {
    const start = at;
    let group = 0;
    for (; at < end && at - start <= 4; at++) {
      const digit = hexDigit(text.charCodeAt(at));
      if (digit < 0) break;
      group = group << 4 | digit;
    }
    if (at < end && text.charCodeAt(at) === DOT) {
      if (filled > 12 || !readIPv4(text, start, bytes, filled)) return null;
      filled += 4;
      at = end;
      break;
    }
    if (at === start || at - start > 4 || filled > 14) return null;
    bytes[filled++] = group >> 8;
    bytes[filled++] = group;
    if (at === end) break;
    if (text.charCodeAt(at++) !== COLON || at === end) return null;
    if (text.charCodeAt(at) === COLON) {
      if (gap >= 0) return null;
      gap = filled;
      at++;
    }
  }
  if (gap < 0) return filled === 16 ? bytes : null;
  // "::" stands for at least one group.
  if (filled === 16) return null;
  bytes.copyWithin(16 - (filled - gap), gap, filled);
  bytes.fill(0, gap, 16 - (filled - gap));
  return bytes;
}

/**
 * Reads an address of either family.
 *
 * @returns 4 or 16 bytes in network order, or null.
 */
export function parseAddress(text: string): Uint8Array | null {
  return text.includes(":") ? parseIPv6(text) : parseIPv4(text);
}

/**
 * Writes an address.
 *
 * @param address 4 or 16 bytes in network order.
 */
export function formatAddress(address: Uint8Array): string {
  if (address.length === 4) return `${address[0]}.${address[1]}.${address[2]}.${address[3]}`;
  const groups: number[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(address[i]! << 8 | address[i + 1]!);
  const [gap, gapLength] = longestZeros(groups);
  // glibc writes ::a.b.c.d and ::ffff:a.b.c.d in decimal, and nothing else.
  if (gap === 0 && (gapLength === 6 || gapLength === 5 && groups[5] === 0xffff)) {
    const decimal = `${address[12]}.${address[13]}.${address[14]}.${address[15]}`;
    return gapLength === 6 ? `::${decimal}` : `::ffff:${decimal}`;
  }
  const hex = groups.map((group) => group.toString(16));
  if (gapLength === 0) return hex.join(":");
  return `${hex.slice(0, gap).join(":")}::${hex.slice(gap + gapLength).join(":")}`;
}

const COLON = 0x3a;
const DOT = 0x2e;

function readIPv4(text: string, from: number, out: Uint8Array, at: number): boolean {
  let octets = 0;
  let value = -1;
  for (let i = from; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : DOT;
    if (code === DOT) {
      if (value < 0 || octets === 4) return false;
      out[at + octets++] = value;
      value = -1;
    } else if (code >= 0x30 && code <= 0x39) {
      if (value === 0) return false;
      value = (value < 0 ? 0 : value * 10) + code - 0x30;
      if (value > 255) return false;
    } else {
      return false;
    }
  }
  return octets === 4;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  if (code >= 0x41 && code <= 0x46) return code - 55;
  if (code >= 0x61 && code <= 0x66) return code - 87;
  return -1;
}

/** The first of the longest runs of two or more zero groups, as index and length; length 0 if there is none. */
function longestZeros(groups: readonly number[]): [number, number] {
  let best = 0;
  let bestLength = 1;
  let length = 0;
  for (let i = 0; i < groups.length; i++) {
    length = groups[i] === 0 ? length + 1 : 0;
    if (length > bestLength) {
      bestLength = length;
      best = i + 1 - length;
    }
  }
  return bestLength === 1 ? [0, 0] : [best, bestLength];
}
