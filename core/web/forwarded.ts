/**
 * Finds the origin of a request, also behind a proxy.
 *
 * @module
 */

import { parseAddress } from "../config/address.ts";
import { containsPrefix, parsePrefix, type Prefix } from "../config/prefix.ts";
import type { RequestInfo } from "./context.ts";

/** Addresses of proxies whose headers are trusted. */
export class TrustedProxies {
  readonly #prefixes: readonly Prefix[];

  private constructor(prefixes: readonly Prefix[]) {
    this.#prefixes = prefixes;
  }

  /** Parses addresses and networks, separated by commas. @returns Null if one is invalid. */
  static parse(text: string): TrustedProxies | null {
    const prefixes = text.split(",").map((word) => parsePrefix(word.trim()));
    return prefixes.every((prefix) => prefix !== null) ? new TrustedProxies(prefixes) : null;
  }

  /** Whether an address belongs to a trusted proxy. */
  has(text: string): boolean {
    const address = text.replace(/^::ffff:(?=\d+\.)/, "");
    const single = parseAddress(address) && parsePrefix(address);
    return single !== null && this.#prefixes.some((prefix) => containsPrefix(prefix, single));
  }
}

/**
 * Reads the origin from a proxy's headers. Each proxy appends the address of its client to `X-Forwarded-For`, so the
 * last address that is not a trusted proxy is the client's. The client may have invented the addresses before it.
 *
 * @param address The peer of the connection.
 * @returns Undefined if it is not a trusted proxy.
 */
export function forwardedInfo(
  request: Request,
  address: string,
  proxies: TrustedProxies,
): RequestInfo | undefined {
  if (!proxies.has(address)) return undefined;
  const hops = request.headers.get("x-forwarded-for")?.split(",").map(addressOf) ?? [];
  const client = hops.findLast((hop) => hop === undefined || !proxies.has(hop));
  const host = request.headers.get("x-forwarded-host") ?? new URL(request.url).host;
  const secure = request.headers.get("x-forwarded-proto")?.toLowerCase() === "https";
  return { address: client ?? address, secure, host };
}

/** The address of a hop. Some proxies add the port, which is another one for each connection. */
function addressOf(hop: string): string | undefined {
  const text = hop.trim();
  const [, bracketed, plain] = /^(?:\[(.*)\](?::\d+)?|([\d.]+):\d+)$/.exec(text) ?? [];
  const address = bracketed ?? plain ?? text;
  return parseAddress(address) ? address : undefined;
}
