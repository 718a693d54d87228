/**
 * What a proxy counts.
 *
 * @module
 */

import type { Refusal } from "../proxy/handshake.ts";

/** How a connection came. */
export type ProxyKind = "socks5" | "http" | "forward" | "reverse";

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
  /** Connections that could not be made, by reason. */
  readonly refused: Record<Refusal, number>;
  /** Programs that have connected and whose connection does not stand yet. */
  readonly halfOpen: number;
  /** Such programs that were hung up on, since they took too long or were too many. */
  readonly hungUp: number;
  /** Programs that have UDP by SOCKS5. */
  readonly associations: number;
  /** Programs that a UDP forward serves. */
  readonly udpFlows: number;
}

/** Counters at zero. */
export function noConnections(): Pick<ProxyCounters, "connections" | "refused"> {
  const none = (): ConnectionCount => ({ accepted: 0, open: 0 });
  return {
    connections: { socks5: none(), http: none(), forward: none(), reverse: none() },
    refused: {
      refused: 0,
      unreachable: 0,
      "unknown host": 0,
      "timed out": 0,
      "not allowed": 0,
      failed: 0,
    },
  };
}
