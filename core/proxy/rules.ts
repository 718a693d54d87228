/**
 * Everything that one proxy does.
 *
 * @module
 */

import type {
  Credentials,
  Forward,
  Listening,
  Reverse,
  UdpForward,
  UdpReverse,
} from "../config/proxy_rules.ts";

/** Where programs connect that speak a proxy's protocol. */
export interface ProxyListener {
  readonly at: Listening;
  /** What they have to know; absent if anyone may come. */
  readonly credentials?: Credentials;
  /** Files of a certificate and its key, in PEM, if they speak TLS to the proxy. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
}

/** What a proxy does. */
export interface ProxyRules {
  readonly socks5: readonly ProxyListener[];
  readonly http: readonly ProxyListener[];
  readonly forwards: readonly Forward[];
  readonly udpForwards: readonly UdpForward[];
  readonly reverses: readonly Reverse[];
  readonly udpReverses: readonly UdpReverse[];
}

/** Those of a proxy that does nothing. */
export const NO_RULES: ProxyRules = {
  socks5: [],
  http: [],
  forwards: [],
  udpForwards: [],
  reverses: [],
  udpReverses: [],
};

/** Hosts behind the tunnel that have to answer pings for the proxy to be ready. */
export interface AliveCheck {
  /** Their addresses. */
  readonly addresses: readonly string[];
  /** Seconds between two pings. */
  readonly interval: number;
}

/** What a proxy tells about itself, and where. */
export interface HealthRules {
  readonly health: readonly Listening[];
  readonly alive?: AliveCheck;
}
