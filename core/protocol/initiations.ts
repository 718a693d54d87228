/**
 * Initiations of ours, from the decision to send one until it is made. That takes two or three multiplications, which
 * others may compute later. At most one to each peer is being made.
 *
 * @module
 */

import type { Now } from "./clock.ts";
import type { Crypto } from "./crypto.ts";
import { Drop, type Drops } from "./drops.ts";
import { INITIATION_LENGTH } from "./messages.ts";
import { computed, type Steps } from "./multiplication.ts";
import { Handshake, type Identity, type Noise } from "./noise.ts";
import type { Peer } from "./peer.ts";

/** What initiations are made with. */
export interface InitiationParts {
  readonly crypto: Crypto;
  readonly noise: Noise;
  readonly drops: Drops;
  /** Sends an initiation that was made. The handshake then belongs to the peer. */
  readonly send: (handshake: Handshake, message: Uint8Array, now: Now) => void;
}

/** Makes initiations. */
export class Initiations {
  /** Queues the steps. @returns False if they cannot be queued. They then run at once. */
  postpone: (steps: Steps<void>) => boolean = () => false;
  /** Those that are being made. */
  readonly #handshakes = new Map<Peer, Handshake>();
  readonly #parts: InitiationParts;

  constructor(parts: InitiationParts) {
    this.#parts = parts;
  }

  /** Makes an initiation to a peer and sends it, unless one is being made. */
  make(peer: Peer, identity: Identity, now: Now): void {
    if (this.#handshakes.has(peer)) return;
    const handshake = new Handshake(peer, true);
    this.#handshakes.set(peer, handshake);
    const steps = this.#steps(handshake, identity, now);
    if (!this.postpone(steps)) computed(this.#parts.crypto, steps);
  }

  /** An initiation that is being made is not sent. */
  cancel(peer: Peer): void {
    this.#handshakes.get(peer)?.wipe();
    this.#handshakes.delete(peer);
  }

  *#steps(handshake: Handshake, identity: Identity, now: Now): Steps<void> {
    const { noise, drops, send } = this.#parts;
    const { peer } = handshake;
    const isWanted = () => this.#handshakes.get(peer) === handshake;
    const message = new Uint8Array(INITIATION_LENGTH);
    const steps = noise.createInitiation(message, handshake, identity, now);
    let sent = false;
    try {
      let made: boolean | undefined;
      while (isWanted() && made === undefined) {
        const { done, value } = steps.next();
        if (done) made = value;
        else yield value;
      }
      if (!isWanted()) return;
      if (!made) {
        drops.count(Drop.LowOrder);
        return;
      }
      this.#handshakes.delete(peer);
      send(handshake, message, now);
      sent = true;
    } finally {
      // Erases secrets.
      steps.return(false);
      if (isWanted()) this.#handshakes.delete(peer);
      if (!sent) handshake.wipe();
    }
  }
}
