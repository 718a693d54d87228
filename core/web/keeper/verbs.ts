/**
 * The protocol between the web process and the keeper, which runs as root. Each line is one JSON value, in both
 * directions.
 *
 * These are all requests. None of them returns a private key, and none takes a path, a hook or a line of a
 * configuration.
 *
 * @module
 */

import type { Certificate } from "./certificates.ts";

/** An interface of the keeper. */
export interface KeptNetwork {
  /** Name of the interface. */
  readonly interface: string;
  readonly publicKey: string;
  readonly listenPort: number;
  /** The server's own addresses with prefix lengths. */
  readonly addresses: readonly string[];
  readonly mtu: number | null;
}

/** A peer that the interface must have. */
export interface KeptPeer {
  readonly publicKey: string;
  /** Addresses of the device, without prefix lengths. */
  readonly addresses: readonly string[];
  /** Networks behind the device, with prefix lengths. */
  readonly networks?: readonly string[];
}

/** The counters of a peer. */
export interface PeerCounters {
  readonly publicKey: string;
  readonly endpoint: string | null;
  /** Milliseconds since 1970; 0 if there was none. */
  readonly lastHandshakeAt: number;
  readonly rxBytes: number;
  readonly txBytes: number;
}

/** A network behind a device that the system's routes cannot lead to. */
export interface Unroutable {
  /** With its prefix length, as it was requested. */
  readonly network: string;
  /** Why, in English. */
  readonly cause: string;
}

/** Some of the counters that were requested, and the number by which `moreCounters` gives others; null if there are none. */
export interface CounterSlice {
  readonly peers: readonly PeerCounters[];
  readonly rest: number | null;
}

/** Handshakes of strangers, which an interface cannot answer. */
export interface Strangers {
  /** Initiations from an unknown public key. */
  readonly unknownKey: number;
  /** Initiations for another public key of the server. */
  readonly wrongServerKey: number;
}

/** Each request with its arguments and its result. */
export interface Verbs {
  /** All interfaces. */
  networks: { takes: Record<never, never>; gives: readonly KeptNetwork[] };
  /** Makes an interface with a new key. It is unsettled until `settle` keeps it. */
  makeNetwork: {
    takes: {
      readonly interface: string;
      readonly addresses: readonly string[];
      readonly listenPort: number;
      readonly mtu: number | null;
    };
    gives: KeptNetwork;
  };
  /** Marks an interface, if it exists, as unsettled. */
  unsettle: { takes: { readonly interface: string }; gives: null };
  /** Names of unsettled interfaces: a process was killed while it made or removed them. */
  unsettled: { takes: Record<never, never>; gives: readonly string[] };
  /** Keeps an interface and brings it up; or takes an unsettled one down and deletes its key. */
  settle: { takes: { readonly interface: string; readonly keep: boolean }; gives: null };
  /**
   * Begins to set all peers of an interface, in slices, between which other requests are handled. Unchanged peers keep
   * their sessions. An earlier attempt of the same connection ends. Attempts of different connections do not disturb each
   * other.
   *
   * @returns The number of this attempt.
   */
  beginPeers: { takes: { readonly interface: string }; gives: number };
  /** Removes those of these peers that existed at the beginning and that no request has named since. */
  cutPeers: {
    takes: { readonly interface: string; readonly attempt: number; readonly publicKeys: readonly string[] };
    gives: null;
  };
  /** Adds, replaces or keeps some of these peers. */
  keepPeers: {
    takes: { readonly interface: string; readonly attempt: number; readonly peers: readonly KeptPeer[] };
    gives: null;
  };
  /** Removes the peers that existed at the beginning and that no request has kept, added or replaced since. */
  endPeers: { takes: { readonly interface: string; readonly attempt: number }; gives: null };
  /** Adds or replaces peers. */
  addPeers: { takes: { readonly interface: string; readonly peers: readonly KeptPeer[] }; gives: null };
  /** Removes peers. Their tunnels end at once. */
  removePeers: { takes: { readonly interface: string; readonly publicKeys: readonly string[] }; gives: null };
  /**
   * Sets the system's routes to all networks behind devices of an interface. Routes of others are not changed.
   *
   * @returns The networks to which there can be no route now.
   */
  setRoutes: {
    takes: { readonly interface: string; readonly networks: readonly string[] };
    gives: readonly Unroutable[];
  };
  /** The preshared key of a peer, for its configuration. */
  presharedKey: { takes: { readonly interface: string; readonly publicKey: string }; gives: string };
  /** A certificate for the page, from the keeper's own authority. */
  certificate: { takes: { readonly names: readonly string[] }; gives: Certificate };
  /**
   * The counters of peers that had a handshake since a time (milliseconds since 1970); 0 for all. With public keys,
   * only of these peers. Those of 100,000 peers come in slices, because one line would take too much memory.
   */
  counters: {
    takes: {
      readonly interface: string;
      readonly since: number;
      readonly publicKeys?: readonly string[] | undefined;
    };
    gives: CounterSlice;
  };
  /** The next slice of counters that were read when `counters` was requested. */
  moreCounters: { takes: { readonly rest: number }; gives: CounterSlice };
  /** How often strangers sent handshakes to an interface. Null if that is not counted. */
  strangers: { takes: { readonly interface: string }; gives: Strangers | null };
}

/** The name of a request. */
export type Verb = keyof Verbs;

/** A request. */
export interface Request<V extends Verb = Verb> {
  readonly id: number;
  readonly verb: V;
  readonly takes: Verbs[V]["takes"];
}

/** A response: the result, or why the request failed. */
export type Reply = { readonly id: number; readonly gives: unknown } | {
  readonly id: number;
  readonly error: { readonly message: string; readonly hint?: string };
};

/**
 * What the keeper sends without a request: the name of one of its interfaces that has come up, perhaps without peers; or
 * that addresses or routes of this machine may have changed.
 */
export type Notice = { readonly up: string } | { readonly routes: "changed" };

/** A request to the keeper failed. */
export class KeeperError extends Error {
  /** Distinguishes this kind of error from others. */
  override name = "KeeperError";

  /** @param hint What to do about it. */
  constructor(message: string, readonly hint?: string) {
    super(message);
  }
}
