/**
 * Diagnostics of an interface: its features, its dropped packets by reason, and the length of its queues. They are part
 * of the reply to `get=1` if the request asks for them, with keys that `wg` ignores.
 *
 * @module
 */

import { Errno } from "./errno.ts";
import { UapiError } from "./lines.ts";

/** A feature of the packet path. */
export interface FeatureState {
  /** Its name, as in `wgd run --disable`. */
  feature: string;
  /** Whether it is used. */
  on: boolean;
  /** Why it is off, or which part of it; empty if all of it is on. */
  why: string;
}

/** A queue or a buffer. */
export interface QueueState {
  /** Its name. */
  queue: string;
  /** How much it contains. */
  length: number;
  /** How much it can contain. */
  bound: number;
  /** The unit, such as `bytes` or `messages`. */
  unit: string;
}

/** The end of a tunnel inside a program, in place of a network interface. */
export interface UserspaceEnd {
  /** In bytes. */
  mtu: number;
  /** Its own addresses, without prefix lengths. */
  addresses: string[];
}

/** All diagnostics. */
export interface Diagnostics {
  /** In the order of `wgd help run`. */
  features: FeatureState[];
  /** Packets and messages that were dropped, by reason. */
  drops: Record<string, number>;
  /** The engine's queues, then the buffers of its sockets while the interface is up. */
  queues: QueueState[];
  /** Absent if there is a network interface. */
  userspace?: UserspaceEnd;
}

/** The request for the state and the diagnostics. wireguard-go and others refuse it with `EINVAL`. */
export const DIAGNOSTICS_REQUEST = "get=1\nwgd_diagnostics=1\n\n";

/** Writes the lines that come before the reply to `get=1`. */
export function formatDiagnostics({ features, drops, queues, userspace }: Diagnostics): string {
  const lines = [
    ...features.map(({ feature, on, why }) => `wgd_feature=${feature} ${on ? "on" : "off"} ${why}`.trimEnd()),
    ...Object.entries(drops).map(([reason, count]) => `wgd_drop=${reason} ${count}`),
    ...queues.map(({ queue, length, bound, unit }) => `wgd_queue=${queue} ${length} ${bound} ${unit}`),
    ...userspace ? [`wgd_userspace=${[userspace.mtu, ...userspace.addresses].join(" ")}`] : [],
  ];
  return lines.map((line) => `${line}\n`).join("");
}

/**
 * Reads the diagnostics of a reply.
 *
 * @returns Undefined if the reply has none.
 * @throws {UapiError} `EPROTO` if a line is invalid.
 */
export function parseDiagnostics(reply: string): Diagnostics | undefined {
  const diagnostics: Diagnostics = { features: [], drops: {}, queues: [] };
  const { features, drops, queues } = diagnostics;
  for (const [, key, value] of reply.matchAll(/^wgd_(feature|drop|queue|userspace)=(.*)$/gm)) {
    const [name = "", second = "", third = "", unit = ""] = value!.split(" ");
    if (key === "feature" && (second === "on" || second === "off")) {
      features.push({
        feature: name,
        on: second === "on",
        why: value!.slice(name.length + second.length + 2),
      });
    } else if (key === "drop") {
      drops[name] = count(second, value!);
    } else if (key === "queue") {
      queues.push({ queue: name, length: count(second, value!), bound: count(third, value!), unit });
    } else if (key === "userspace") {
      diagnostics.userspace = { mtu: count(name, value!), addresses: value!.split(" ").slice(1) };
    }
  }
  return features.length > 0 ? diagnostics : undefined;
}

function count(text: string, line: string): number {
  const value = Number(text);
  if (text === "" || !Number.isSafeInteger(value) || value < 0) {
    throw new UapiError(Errno.EPROTO, `cannot read "${line}"`);
  }
  return value;
}
