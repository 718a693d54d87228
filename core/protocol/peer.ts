/**
 * The state of one peer. State that only a session needs is made when it is first needed, since most of a hundred
 * thousand configured peers are silent.
 *
 * @module
 */

import { LONG_AGO } from "./clock.ts";
import type { CookieJar } from "./cookie.ts";
import type { EndpointWords } from "./endpoint.ts";
import type { EndpointName } from "./endpoint_name.ts";
import { Keypairs } from "./keypair.ts";
import type { Handshake } from "./noise.ts";
import type { StagedPacket, StagedPackets } from "./staged.ts";
import { NO_DEADLINES } from "./timer.ts";

/** A wall clock time in the form of the configuration protocol. */
export interface WallTime {
  /** Since 1970. */
  readonly seconds: number;
  /** Nanoseconds within the second. */
  readonly nanoseconds: number;
}

/** One peer. Only the device and its timers change it. */
export class Peer {
  /** Its preshared key; null for none. Takes effect with the next handshake. */
  presharedKey: Uint8Array | null = null;
  /** Its endpoint: the configured one, or the source of its last authenticated message. */
  endpoint: EndpointWords | null = null;
  /** The host name of its endpoint; null if it is not to be looked up again. */
  endpointName: EndpointName | null = null;
  /** Seconds between persistent keepalives; 0 for none. */
  persistentKeepalive = 0;
  /** When the last handshake completed; null if none ever did. */
  lastHandshake: WallTime | null = null;
  /** Bytes sent to it in UDP payloads. */
  txBytes = 0;
  /** Bytes received from it in authenticated UDP payloads. */
  rxBytes = 0;
  /** Whether it was removed. */
  removed = false;

  /** Its keypairs. */
  readonly keypairs: Keypairs = new Keypairs();
  /** Our initiation that waits for its response. */
  handshake: Handshake | null = null;
  /** MAC keys and cookie. */
  cookieJar: CookieJar | null = null;
  /** The shared secret of both static keys: undefined until needed, null if its public key is of low order. */
  staticStatic: Uint8Array | null | undefined = undefined;
  /** The newest timestamp of its initiations, kept as long as the peer is (whitepaper §5.1). */
  latestTimestamp: Uint8Array | null = null;
  /** When its last initiation was accepted. */
  lastInitiationConsumedAt: number = LONG_AGO;
  /** When we last sent an initiation or response. */
  lastHandshakeSentAt: number = LONG_AGO;
  /** The time in our last initiation, in nanoseconds since 1970. */
  lastTimestampSent = 0n;
  /** A keepalive waits for a key. */
  keepaliveStaged = false;

  /** Deadlines of its timers in milliseconds, by {@linkcode Timer}. Only the timers write them. */
  deadlines: number[] = NO_DEADLINES;
  /** Retransmissions of the last initiation. */
  handshakeAttempts = 0;
  /** Initiations sent since it last answered or was given an endpoint. */
  unanswered = 0;
  /** Whether more data came while the keepalive timer was armed, so that another keepalive is to follow. */
  needAnotherKeepalive = false;
  /** Whether the initiation before this session's key expires was sent. */
  sentLastMinuteHandshake = false;

  readonly #staged: StagedPackets<Peer>;

  constructor(
    /** A small positive number. It is used again after the peer was removed. */
    readonly number: number,
    /** Its static public key. */
    readonly publicKey: Uint8Array,
    staged: StagedPackets<Peer>,
  ) {
    this.#staged = staged;
  }

  /** Takes the packets that waited for a key, oldest first. */
  takeStaged(): StagedPacket[] {
    return this.#staged.take(this);
  }

  /** Packets that wait for a key. */
  get stagedCount(): number {
    return this.#staged.count(this);
  }
}
