/**
 * What is to be done as a consequence of events: messages to send, packets to seal, names to look up.
 *
 * @module
 */

import type { EndpointWords } from "./endpoint.ts";
import type { Peer } from "./peer.ts";

/** Something to be done. */
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
   * {@linkcode Peer.takeStaged} to seal and send: the peer has a sending keypair. With `keepalive`, a keepalive is due if
   * none of them can be sealed.
   */
  | { readonly kind: "staged"; readonly peer: Peer; readonly keepalive: boolean }
  /** The peer's endpoint is in doubt: its name to look up, and {@linkcode Device.endpointFound} to be told. */
  | { readonly kind: "lookup"; readonly peer: Peer; readonly name: string };

/** A queue of outputs. */
export class Outputs {
  #waiting: Output[] = [];
  #taken = 0;

  /** Adds one at the end. */
  push(output: Output): void {
    this.#waiting.push(output);
  }

  /** Takes the oldest; null if there is none. Those of peers that were removed are left out. */
  take(): Output | null {
    while (this.#taken < this.#waiting.length) {
      const output = this.#waiting[this.#taken++]!;
      if (output.peer === null || !output.peer.removed) return output;
    }
    if (this.#taken > 0) this.clear();
    return null;
  }

  /** Forgets all. */
  clear(): void {
    this.#waiting = [];
    this.#taken = 0;
  }
}
