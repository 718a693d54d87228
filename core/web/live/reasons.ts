/**
 * Finds out why a device does not connect, from the store, the interface and its counters.
 *
 * @module
 */

import { type CodeOf, say, type Saying } from "../english.ts";
import type { PeerCounters, Unroutable } from "../keeper/verbs.ts";
import { ONLINE_FOR } from "../store/device_state.ts";
import type { Device, Network } from "../store/records.ts";

/** Bytes of a handshake initiation (whitepaper section 5.4.2), the minimum that a device has sent. */
const INITIATION = 148;
/** A session with no more bytes than this had only handshakes and keepalives, but no data. */
const NOTHING = 1_000;
/** Milliseconds after a handshake within which data should arrive. */
const SOON = 15_000;
/** Milliseconds for which handshakes with a wrong key are attributed to this device. */
const RECENTLY = 5 * 60_000;

/** The known facts. */
export interface Facts {
  readonly device: Device;
  readonly network: Network;
  /**
   * The counters of the device's peer; undefined if the interface does not have it, null if the interface does not
   * answer.
   */
  readonly counters: PeerCounters | undefined | null;
  /** The networks behind the device to which the server has no route. */
  readonly unroutable?: readonly Unroutable[];
  /** The number of received bytes when the counters were last recorded. */
  readonly rxLast: number;
  /** When the interface last received an initiation from an unknown key; 0 for never. */
  readonly unknownKeyAt: number;
  /** When it last received an initiation for another public key; 0 for never. */
  readonly wrongServerKeyAt: number;
  /** Milliseconds since 1970. */
  readonly now: number;
}

type Code = CodeOf<"reason">;

/** A reason. */
export type Reason = Saying<Code>;

/**
 * The reasons, the likeliest first. The list is empty if it is connected, data arrives, and the networks behind it are
 * reached.
 */
export function reasonsOf(facts: Facts): Reason[] {
  const { device, unroutable = [] } = facts;
  if (device.cut !== null) return [cutReason(device)];
  const routing = unroutable.length === 0 ? [] : [reason("unroutable", {
    networks: unroutable.map(({ network, cause }) => `${network} (${cause})`).join(", "),
  })];
  return [...routing, ...connectionReasons(facts)];
}

function connectionReasons(facts: Facts): Reason[] {
  const { device, network, counters, now } = facts;
  if (counters === null) return [reason("interface-down", { interface: network.interface })];
  if (counters === undefined) return [reason("missing")];
  const handshakeAt = Math.max(counters.lastHandshakeAt, device.lastHandshakeAt);
  if (handshakeAt > now - ONLINE_FOR) {
    const silent = counters.rxBytes <= NOTHING && now - handshakeAt > SOON;
    return silent ? [reason("nothing-after-handshake")] : [];
  }
  // The server counts a handshake when the first message of the session arrives. Before that the device only sends
  // initiations.
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
