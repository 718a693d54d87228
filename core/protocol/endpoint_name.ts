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
import type { Peer } from "./peer.ts";

/** Unanswered initiations after which the endpoint is in doubt. A single one may have been lost. */
const UNANSWERED = 2;
const FIRST_PAUSE = 10_000;
/**
 * If the name server is reached through this tunnel, each lookup sends a packet into it, and with that 90 s of initiations
 * begin (REKEY_ATTEMPT_TIME). The pause becomes longer than that, so that they end.
 */
const LONGEST_PAUSE = 300_000;

/** A peer's endpoint as a person wrote it. */
export class EndpointName {
  #askedAt: number = LONG_AGO;
  #pause = 0;

  /** @param text `host:port`. */
  constructor(readonly text: string) {}

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

/** Whether a peer has no endpoint, or so many initiations went unanswered that it may be wrong. */
export function endpointInDoubt({ endpoint, unanswered }: Pick<Peer, "endpoint" | "unanswered">): boolean {
  return endpoint === null || unanswered >= UNANSWERED;
}
