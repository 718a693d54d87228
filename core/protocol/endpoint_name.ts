/**
 * The name behind an endpoint, and when it is worth looking up again: its machine may have moved.
 *
 * A lookup is asked for when an initiation goes out, never by a timer: an idle interface asks for nothing. Nor does one
 * whose peer is heard.
 *
 * @module
 */

import type { Milliseconds } from "./clock.ts";
import { LONG_AGO } from "./clock.ts";

/** Initiations without an answer after which the endpoint is in doubt; one may just have been lost. */
const UNANSWERED = 2;
const FIRST_PAUSE = 10_000;
/**
 * A name server behind the very tunnel makes each lookup a packet that wants to go there, and with it 90 s of
 * initiations (REKEY_ATTEMPT_TIME). The pause outgrows them, so that this ends.
 */
const LONGEST_PAUSE = 300_000;

/** A peer's endpoint as a person wrote it. */
export class EndpointName {
  #askedAt: number = LONG_AGO;
  #pause = 0;

  /** @param text `host:port`. */
  constructor(readonly text: string) {}

  /**
   * An initiation goes out.
   *
   * @param unanswered Initiations before it since the peer was last heard or given an endpoint.
   * @returns Whether the name is to be looked up now.
   */
  initiating(unanswered: number, now: Milliseconds): boolean {
    if (!inDoubt(unanswered) || now - this.#askedAt < this.#pause) return false;
    this.#askedAt = now;
    this.#pause = Math.min(LONGEST_PAUSE, Math.max(FIRST_PAUSE, 2 * this.#pause));
    return true;
  }

  /** The peer was heard: the next doubt is a new one. */
  heard(): void {
    this.#pause = 0;
  }
}

/** Whether so many initiations went unanswered that the endpoint may be wrong. */
export function inDoubt(unanswered: number): boolean {
  return unanswered >= UNANSWERED;
}
