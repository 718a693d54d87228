/**
 * Why a device does not connect: what the store, the interface and its counters know, as reasons in words.
 *
 * @module
 */

import { type CodeOf, say, type Saying } from "../english.ts";
import type { PeerCounters } from "../keeper/verbs.ts";
import { ONLINE_FOR } from "../store/devices.ts";
import type { Device, Network } from "../store/records.ts";

/** Bytes of a handshake initiation (whitepaper section 5.4.2): what a device that calls has sent at least. */
const INITIATION = 148;
/** A session of which no more than this arrived carried nothing: handshakes and keepalives. */
const NOTHING = 1_000;
/** Milliseconds after a handshake in which data would have come. */
const SOON = 15_000;
/** Milliseconds for which calls with a wrong key are held to be this device's. */
const RECENTLY = 5 * 60_000;

/** What is known. */
export interface Facts {
  readonly device: Device;
  readonly network: Network;
  /** Of the device's peer; undefined if the interface does not have it, null if the interface cannot be asked. */
  readonly counters: PeerCounters | undefined | null;
  /** What the interface had received from it when the counters were last written down. */
  readonly rxLast: number;
  /** When the interface was last called with a key that it does not know; 0 for never. */
  readonly unknownKeyAt: number;
  /** When it was last called by somebody who does not know its key; 0 for never. */
  readonly wrongServerKeyAt: number;
  /** Milliseconds since 1970. */
  readonly now: number;
}

type Code = CodeOf<"reason">;

/** A reason. */
export type Reason = Saying<Code>;

/** The reasons, the likeliest first. None if it is connected and data passes. */
export function reasonsOf(facts: Facts): Reason[] {
  const { device, network, counters, now } = facts;
  if (device.cut !== null) return [cutReason(device)];
  if (counters === null) return [reason("interface-down", { interface: network.interface })];
  if (counters === undefined) return [reason("missing")];
  const handshakeAt = Math.max(counters.lastHandshakeAt, device.lastHandshakeAt);
  if (handshakeAt > now - ONLINE_FOR) {
    const silent = counters.rxBytes <= NOTHING && now - handshakeAt > SOON;
    return silent ? [reason("nothing-after-handshake")] : [];
  }
  // The server counts a handshake when the first message of the session arrives. Until then the device only calls.
  const calls = handshakeAt === 0
    ? counters.rxBytes >= INITIATION
    : counters.rxBytes - facts.rxLast >= INITIATION && facts.rxLast > 0;
  if (calls) return [reason("no-answer")];
  const reasons: Reason[] = [];
  if (now - facts.wrongServerKeyAt < RECENTLY) reasons.push(reason("wrong-server-key"));
  if (now - facts.unknownKeyAt < RECENTLY) reasons.push(reason("wrong-key"));
  if (handshakeAt === 0) {
    const port = String(network.listenPort);
    reasons.push(reason("never-called", { port, endpoint: network.endpoint }));
  } else {
    reasons.push(reason("silent", { when: new Date(handshakeAt).toISOString() }));
  }
  return reasons;
}

function cutReason({ cut, expiresAt }: Device): Reason {
  if (cut !== "expired") return reason(cut as Code);
  return reason("expired", { when: new Date(expiresAt ?? 0).toISOString() });
}

function reason(code: Code, values: Readonly<Record<string, string>> = {}): Reason {
  return say("reason", code, values);
}
