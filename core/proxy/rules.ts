/**
 * The configuration of a proxy.
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

/** A listener for the protocol of a proxy. */
export interface ProxyListener {
  readonly at: Listening;
  /** The user and password that programs must send; absent if none is required. */
  readonly credentials?: Credentials;
  /** Files of a certificate and its key in PEM, if the listener uses TLS. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
}

/** The rules of a proxy. */
export interface ProxyRules {
  readonly socks5: readonly ProxyListener[];
  readonly http: readonly ProxyListener[];
  /** Listeners that connect to the server that a TLS connection names. */
  readonly sni: readonly ProxyListener[];
  readonly forwards: readonly Forward[];
  readonly udpForwards: readonly UdpForward[];
  readonly reverses: readonly Reverse[];
  readonly udpReverses: readonly UdpReverse[];
}

/** Empty rules. */
export const NO_RULES: ProxyRules = {
  socks5: [],
  http: [],
  sni: [],
  forwards: [],
  udpForwards: [],
  reverses: [],
  udpReverses: [],
};

/** Hosts behind the tunnel that must answer pings for the proxy to be ready. */
export interface AliveCheck {
  /** Their addresses. */
  readonly addresses: readonly string[];
  /** Seconds between two pings. */
  readonly interval: number;
}

/** Where and how a proxy can be monitored. */
export interface HealthRules {
  readonly health: readonly Listening[];
  readonly alive?: AliveCheck;
}
