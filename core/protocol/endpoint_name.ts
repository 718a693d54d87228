/**
 * The host name of an endpoint, and when to look it up again because the peer may have moved.
 *
 * A lookup is only requested when an initiation is sent, never by a timer. So an idle interface causes no lookups, and
 * neither does one whose peer responds.
 *
 * @module
 */

import type { Milliseconds } from "./clock.ts";
import { LONG_AGO } from "./clock.ts";
import { parseSocketAddress } from "../config/endpoint.ts";
import { MAX_TIMER_HANDSHAKES } from "./constants.ts";
import { type EndpointWords, endpointWords, sameEndpoint } from "./endpoint.ts";
import type { Peer } from "./peer.ts";

/** Unanswered initiations after which the endpoint is in doubt. A single one may have been lost. */
const UNANSWERED = 2;
/** The same if the file gives an address: all attempts of one handshake. The peer may only be slow to respond. */
const ALL_ATTEMPTS = MAX_TIMER_HANDSHAKES + 2;
const FIRST_PAUSE = 10_000;
/**
 * If the name server is reached through this tunnel, each lookup sends a packet into it, which starts 90 s of
 * initiations (REKEY_ATTEMPT_TIME). The pause becomes longer than that, so that they end.
 */
const LONGEST_PAUSE = 300_000;

/**
 * A peer's endpoint as the file gives it. An address needs no lookup, but a peer that roamed may have returned to it.
 */
export class EndpointName {
  #askedAt: number = LONG_AGO;
  #pause = 0;

  /** The endpoint itself, if the text is an address; null for a name that has to be looked up. */
  readonly address: EndpointWords | null;

  /** @param text `host:port`. */
  constructor(readonly text: string) {
    const address = parseSocketAddress(text);
    this.address = address && endpointWords(address);
  }

  /**
   * Called when an initiation is sent.
   *
   * @param inDoubt Whether the endpoint may be wrong.
   * @returns Whether the name is to be looked up now.
   */
  initiating(inDoubt: boolean, now: Milliseconds): boolean {
    if (!inDoubt || now - this.#askedAt < this.#pause) return false;
    this.#askedAt = now;
    this.#pause = Math.min(LONGEST_PAUSE, Math.max(FIRST_PAUSE, 2 * this.#pause));
    return true;
  }

  /** The peer responded: the next pause is the shortest again. */
  heard(): void {
    this.#pause = 0;
  }
}

/** The file's address, for a peer that roamed to an address where it does not respond; null if the endpoint stays. */
export function endpointToReturnTo({ endpoint, endpointName, unanswered }: Peer): EndpointWords | null {
  const address = endpointName?.address ?? null;
  if (address === null || endpoint === null) return address;
  return unanswered < ALL_ATTEMPTS || sameEndpoint(endpoint, address) ? null : address;
}

/** Whether a peer has no endpoint, or so many initiations went unanswered that it may be wrong. */
export function endpointInDoubt({ endpoint, unanswered }: Pick<Peer, "endpoint" | "unanswered">): boolean {
  return endpoint === null || unanswered >= UNANSWERED;
}
