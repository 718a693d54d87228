/**
 * What the web process may ask of the keeper, which is root. One JSON value a line, in both directions.
 *
 * These are all the verbs there are. None of them tells a private key, and none takes a path, a hook or a line of a
 * configuration.
 *
 * @module
 */

import type { Certificate } from "./certificates.ts";

/** An interface that the keeper keeps. */
export interface KeptNetwork {
  /** Name of the interface. */
  readonly interface: string;
  readonly publicKey: string;
  readonly listenPort: number;
  /** The server's own addresses with prefix lengths. */
  readonly addresses: readonly string[];
  readonly mtu: number | null;
}

/** A peer as the interface shall have it. */
export interface KeptPeer {
  readonly publicKey: string;
  /** Addresses of the device, without prefix lengths. */
  readonly addresses: readonly string[];
}

/** What an interface has counted for a peer. */
export interface PeerCounters {
  readonly publicKey: string;
  readonly endpoint: string | null;
  /** Milliseconds since 1970; 0 if there was none. */
  readonly lastHandshakeAt: number;
  readonly rxBytes: number;
  readonly txBytes: number;
}

/** Calls of somebody whom an interface cannot answer. */
export interface Strangers {
  /** With the public key of no peer. */
  readonly unknownKey: number;
  /** With another public key of the server than it has. */
  readonly wrongServerKey: number;
}

/** Each verb with what it takes and what it gives. */
export interface Verbs {
  /** All interfaces. */
  networks: { takes: Record<never, never>; gives: readonly KeptNetwork[] };
  /** Makes an interface with a new key. */
  makeNetwork: {
    takes: {
      readonly interface: string;
      readonly addresses: readonly string[];
      readonly listenPort: number;
      readonly mtu: number | null;
    };
    gives: KeptNetwork;
  };
  /** Takes an interface down and forgets its key. */
  removeNetwork: { takes: { readonly interface: string }; gives: null };
  /** Gives an interface these peers and no others. Peers that stay keep their sessions. */
  setPeers: { takes: { readonly interface: string; readonly peers: readonly KeptPeer[] }; gives: null };
  /** Adds or replaces peers. */
  addPeers: { takes: { readonly interface: string; readonly peers: readonly KeptPeer[] }; gives: null };
  /** Removes peers: their tunnels end at once. */
  removePeers: { takes: { readonly interface: string; readonly publicKeys: readonly string[] }; gives: null };
  /** The preshared key of a peer, for its configuration. */
  presharedKey: { takes: { readonly interface: string; readonly publicKey: string }; gives: string };
  /** A new certificate for the page, of the keeper's own authority. */
  certificate: { takes: { readonly names: readonly string[] }; gives: Certificate };
  /**
   * Counters of the peers that had a handshake since a time (milliseconds since 1970); 0 for all. With public keys, of
   * those peers alone.
   */
  counters: {
    takes: {
      readonly interface: string;
      readonly since: number;
      readonly publicKeys?: readonly string[] | undefined;
    };
    gives: readonly PeerCounters[];
  };
  /** How often an interface was called by somebody it cannot answer. Null if that is not counted. */
  strangers: { takes: { readonly interface: string }; gives: Strangers | null };
}

/** Name of a verb. */
export type Verb = keyof Verbs;

/** A question. */
export interface Request<V extends Verb = Verb> {
  readonly id: number;
  readonly verb: V;
  readonly takes: Verbs[V]["takes"];
}

/** An answer: what the verb gives, or why it could not be done. */
export type Reply = { readonly id: number; readonly gives: unknown } | {
  readonly id: number;
  readonly error: { readonly message: string; readonly hint?: string };
};

/** The keeper could not do what it was asked for. */
export class KeeperError extends Error {
  /** Tells this kind of error from others. */
  override name = "KeeperError";

  /** @param hint What to do about it. */
  constructor(message: string, readonly hint?: string) {
    super(message);
  }
}
