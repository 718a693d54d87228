/**
 * Where a request came from, also behind a proxy.
 *
 * @module
 */

import { parseAddress } from "../config/address.ts";
import { containsPrefix, parsePrefix, type Prefix } from "../config/prefix.ts";
import type { RequestInfo } from "./context.ts";

/** Addresses of proxies whose headers are believed. */
export class TrustedProxies {
  readonly #prefixes: readonly Prefix[];

  private constructor(prefixes: readonly Prefix[]) {
    this.#prefixes = prefixes;
  }

  /** Reads addresses and networks, separated by commas. @returns Null if one is none. */
  static parse(text: string): TrustedProxies | null {
    const prefixes = text.split(",").map((word) => parsePrefix(word.trim()));
    return prefixes.every((prefix) => prefix !== null) ? new TrustedProxies(prefixes) : null;
  }

  /** Whether an address is a proxy's. */
  has(text: string): boolean {
    const address = text.replace(/^::ffff:(?=\d+\.)/, "");
    const single = parseAddress(address) && parsePrefix(address);
    return single !== null && this.#prefixes.some((prefix) => containsPrefix(prefix, single));
  }
}

/**
 * What a proxy tells of a request. Each proxy adds the address it was called from at the end of `X-Forwarded-For`, so the
 * last one that is no proxy of ours is the client's; what stands before it, the client may have made up.
 *
 * @param address Who called us.
 * @returns Undefined if that is no proxy of ours.
 */
export function forwardedInfo(
  request: Request,
  address: string,
  proxies: TrustedProxies,
): RequestInfo | undefined {
  if (!proxies.has(address)) return undefined;
  const hops = request.headers.get("x-forwarded-for")?.split(",").map((hop) => hop.trim()) ?? [];
  const client = hops.findLast((hop) => !proxies.has(hop));
  const host = request.headers.get("x-forwarded-host") ?? new URL(request.url).host;
  const secure = request.headers.get("x-forwarded-proto")?.toLowerCase() === "https";
  return { address: client ?? address, secure, host };
}
