/**
 * Numbers in text, as strictly as `wg` reads them.
 *
 * @module
 */

/**
 * Reads decimal digits and nothing else: no sign, no space, at least one digit. Leading zeros are allowed.
 *
 * @param max The largest value allowed, at most 2^53 - 1.
 * @returns The value, or null.
 */
export function parseDecimal(text: string, max: number): number | null {
  if (text.length === 0) return null;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return null;
    value = value * 10 + digit;
    if (value > max) return null;
  }
  return value;
}

/** Looks up the UDP port of a service by its name; null if there is no such service. */
export type ServicePort = (name: string) => number | null;

/**
 * Reads a UDP port as `getaddrinfo` does, by number or by the name of a service. Unlike glibc, which turns 70000 into
 * 4464, it refuses numbers above 65535.
 *
 * @param servicePort Looks names up; without it, only numbers are accepted.
 * @returns 0 to 65535, or null.
 */
export function parsePort(text: string, servicePort?: ServicePort): number | null {
  // strtoul skips white space and accepts a sign.
  const number = /^[ \t-\r]*(?:\+|(-))?(\d+)$/.exec(text);
  if (number === null) return servicePort?.(text) ?? null;
  const port = parseDecimal(number[2]!, 0xffff);
  return number[1] !== undefined && port !== 0 ? null : port;
}

/**
 * Reads a firewall mark: `off`, decimal, or hexadecimal after `0x`.
 *
 * @returns 0 to 2^32 - 1, or null.
 */
export function parseFwmark(text: string): number | null {
  if (isOff(text)) return 0;
  const hex = /^0x([0-9a-fA-F]+)$/.exec(text);
  if (hex === null) return parseDecimal(text, 0xffffffff);
  const mark = Number.parseInt(hex[1]!, 16);
  return mark <= 0xffffffff ? mark : null;
}

/**
 * Reads an interval of persistent keepalives: `off` or seconds.
 *
 * @returns 0 (off) to 65535, or null.
 */
export function parseKeepalive(text: string): number | null {
  return isOff(text) ? 0 : parseDecimal(text, 0xffff);
}

function isOff(text: string): boolean {
  return /^off$/i.test(text);
}
