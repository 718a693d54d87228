/**
 * Collects the diagnostics of an engine (core/uapi/diagnostics.ts).
 *
 * @module
 */

import { CAPACITY as SOURCES } from "../protocol/rate_limiter.ts";
import { Drop } from "../protocol/drops.ts";
import { STAGING_BUDGET } from "../protocol/staged.ts";
import type { Diagnostics, QueueState, UserspaceEnd } from "../uapi/diagnostics.ts";
import { type Connections, MAX_CONNECTIONS } from "./control/connections.ts";
import { CAPACITY as HANDSHAKES, type Handshakes } from "./handshakes.ts";
import type { PacketPath } from "./path.ts";
import type { UdpPort } from "./udp_port.ts";

/** The parts of an engine that have diagnostics. */
export interface Sources {
  readonly path: PacketPath;
  readonly port: UdpPort;
  readonly handshakes: Handshakes;
  /** Null for an interface without a control socket. */
  readonly connections: Connections | null;
  /** Of a tunnel inside a program. */
  readonly userspace?: UserspaceEnd | undefined;
}

/** Reads the current values. */
export function readDiagnostics(sources: Sources): Diagnostics {
  const { path, port, handshakes, connections, userspace } = sources;
  const { device, drops, features, tun } = path;
  const { counts } = device.drops;
  const handshakeDrops = Array.from(counts, (count, reason) => [camelCase(Drop[reason]!), count]);
  return {
    features: features.states(),
    drops: {
      ...prefixed("packet", Object.entries(drops)),
      ...prefixed("protocol", handshakeDrops as [string, number][]),
      ...prefixed("system", [
        ["tunRead", tun.readErrors],
        ["tunWrite", tun.writeErrors],
        ["socketReceive", port.receiveErrors],
        ["socketOverflow", port.overflows],
      ]),
    },
    queues: [
      { queue: "handshakes", length: handshakes.length, bound: HANDSHAKES, unit: "messages" },
      { queue: "staged", length: device.sessions.staged.bytes, bound: STAGING_BUDGET, unit: "bytes" },
      { queue: "rateLimiter", length: device.handshakes.limiter.size, bound: SOURCES, unit: "sources" },
      { queue: "control", length: connections?.count ?? 0, bound: MAX_CONNECTIONS, unit: "connections" },
      ...lanesOf(path),
      ...socketQueues(port),
    ],
    ...(userspace && { userspace }),
  };
}

/** Lanes in use, if the engine may have any. */
function lanesOf({ lanes }: PacketPath): QueueState[] {
  if (lanes === null) return [];
  return [{ queue: "lanes", length: lanes.lanes.using, bound: lanes.lanes.threads.limit, unit: "threads" }];
}

function socketQueues({ sockets }: UdpPort): QueueState[] {
  return [sockets?.v4, sockets?.v6].filter((socket) => !!socket).flatMap((socket) => {
    const { received, receiveBound, sent, sendBound } = socket.memory;
    return [
      { queue: `receiveIPv${socket.family}`, length: received, bound: receiveBound, unit: "bytes" },
      { queue: `sendIPv${socket.family}`, length: sent, bound: sendBound, unit: "bytes" },
    ];
  });
}

function prefixed(prefix: string, entries: [string, number][]): Record<string, number> {
  return Object.fromEntries(entries.map(([name, count]) => [`${prefix}.${name}`, count]));
}

function camelCase(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1);
}
