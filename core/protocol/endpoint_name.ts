/**
 * The host name of an endpoint, and when to look it up again because the peer may have moved.
 *
 * A lookup is asked for when an initiation is sent, never by a timer. So an idle interface asks for none, and neither does
 * one whose peer answers.
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
/** The same if the endpoint is an address in the file: all attempts at one handshake. The peer may only be slow to answer. */
const ALL_ATTEMPTS = MAX_TIMER_HANDSHAKES + 2;
const FIRST_PAUSE = 10_000;
/**
 * If the name server is reached through this tunnel, each lookup sends a packet into it, and with that 90 s of initiations
 * begin (REKEY_ATTEMPT_TIME). The pause becomes longer than that, so that they end.
 */
const LONGEST_PAUSE = 300_000;

/** A peer's endpoint as the file gives it. An address needs no lookup; a peer that roamed away may be back there. */
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
   * An initiation is sent.
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

  /** The peer answered: pauses begin with the shortest again. */
  heard(): void {
    this.#pause = 0;
  }
}

/** Where to call a peer that roamed to an address where nobody answers: the file's address; null if it stays. */
export function endpointToReturnTo({ endpoint, endpointName, unanswered }: Peer): EndpointWords | null {
  const address = endpointName?.address ?? null;
  if (address === null || endpoint === null) return address;
  return unanswered < ALL_ATTEMPTS || sameEndpoint(endpoint, address) ? null : address;
}

/** Whether a peer has no endpoint, or so many initiations went unanswered that it may be wrong. */
export function endpointInDoubt({ endpoint, unanswered }: Pick<Peer, "endpoint" | "unanswered">): boolean {
  return endpoint === null || unanswered >= UNANSWERED;
}
