/**
 * Actions that result from events: messages to send, packets to seal, names to look up.
 *
 * @module
 */

import type { EndpointWords } from "./endpoint.ts";
import type { Peer } from "./peer.ts";

/** An action. */
export type Output =
  /** A message to send. Without a peer it is a cookie reply. */
  | {
    readonly kind: "handshake";
    readonly peer: Peer | null;
    readonly endpoint: EndpointWords;
    readonly bytes: Uint8Array;
    readonly tos: number;
  }
  /** A keepalive to seal and send to a peer that has a sending keypair. */
  | { readonly kind: "keepalive"; readonly peer: Peer }
  /**
   * Seal and send {@linkcode Peer.takeStaged}: the peer has a sending keypair. With `keepalive`, a keepalive is due if
   * none of the packets can be sealed.
   */
  | { readonly kind: "staged"; readonly peer: Peer; readonly keepalive: boolean }
  /** The peer's endpoint may be wrong: look its name up and pass the result to {@linkcode Device.endpointFound}. */
  | { readonly kind: "lookup"; readonly peer: Peer; readonly name: string };

/** A queue of actions. */
export class Outputs {
  #waiting: Output[] = [];
  #taken = 0;

  /** Adds an action at the end. */
  push(output: Output): void {
    this.#waiting.push(output);
  }

  /** Takes the oldest action; null if there is none. Actions for removed peers are left out. */
  take(): Output | null {
    while (this.#taken < this.#waiting.length) {
      const output = this.#waiting[this.#taken++]!;
      if (output.peer === null || !output.peer.removed) return output;
    }
    if (this.#taken > 0) this.clear();
    return null;
  }

  /** Removes all actions. */
  clear(): void {
    this.#waiting = [];
    this.#taken = 0;
  }
}
