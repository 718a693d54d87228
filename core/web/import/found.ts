/**
 * What a server that is taken over has, whatever made it.
 *
 * @module
 */

/** Something cannot be taken over; then nothing was. */
export class ImportError extends Error {
  /** Tells this kind of error from others. */
  override name = "ImportError";

  /** @param hint What to do about it. */
  constructor(message: string, readonly hint?: string) {
    super(message);
  }
}

/** A client. Its private key is not among this: nobody stores it. */
export interface FoundPeer {
  readonly name: string | undefined;
  readonly publicKey: string;
  /** Empty or undefined for none. */
  readonly presharedKey: string | undefined;
  /** Addresses and networks with or without prefix lengths. */
  readonly allowedIps: readonly string[];
  readonly enabled: boolean;
  /** Milliseconds since 1970. */
  readonly expiresAt?: number | undefined;
  /** Whether the source has its private key. */
  readonly hadPrivateKey: boolean;
}

/** A server. */
export interface Found {
  /** Where it was found, for people. */
  readonly source: string;
  /** Name of its interface, if the source says it. */
  readonly interface: string | undefined;
  /** The server's own addresses with prefix lengths. */
  readonly addresses: readonly string[];
  readonly listenPort: number;
  readonly publicKey: string;
  readonly mtu?: number | undefined;
  /** Where clients find it. */
  readonly endpoint?: string | undefined;
  readonly dns?: readonly string[] | undefined;
  /** What clients send into the tunnel. */
  readonly clientAllowedIps?: readonly string[] | undefined;
  readonly keepalive?: number | undefined;
  /** The [Interface] section for the keeper, with the private key. */
  readonly section: string;
  readonly peers: readonly FoundPeer[];
  /** Whether the interface runs, and goes on as it is. */
  readonly isRunning: boolean;
  /** What is not taken over, for people. */
  readonly notes: readonly string[];
}
