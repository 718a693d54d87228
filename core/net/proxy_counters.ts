/**
 * The counters of a proxy.
 *
 * @module
 */

import type { Refusal } from "../proxy/handshake.ts";

/** The kind of a connection. */
export type ProxyKind = "socks5" | "http" | "sni" | "forward" | "reverse";

/** Connections of one kind. */
export interface ConnectionCount {
  /** Since the start. */
  accepted: number;
  /** Now. */
  open: number;
}

/** The counters of one proxy. */
export interface ProxyCounters {
  readonly connections: Readonly<Record<ProxyKind, ConnectionCount>>;
  /** Failed connections, by reason. */
  readonly refused: Record<Refusal, number>;
  /** Programs whose connection through the tunnel is not established yet. */
  readonly halfOpen: number;
  /** Such programs that were disconnected because they took too long or were too many. */
  readonly hungUp: number;
  /** Programs that use UDP through SOCKS5. */
  readonly associations: number;
  /** Programs that use a UDP forward. */
  readonly udpFlows: number;
}

/** Counters at zero. */
export function noConnections(): Pick<ProxyCounters, "connections" | "refused"> {
  const none = (): ConnectionCount => ({ accepted: 0, open: 0 });
  return {
    connections: { socks5: none(), http: none(), sni: none(), forward: none(), reverse: none() },
    refused: {
      refused: 0,
      unreachable: 0,
      "unknown host": 0,
      "timed out": 0,
      "not allowed": 0,
      "too many connections": 0,
      failed: 0,
    },
  };
}
