/**
 * The data of an imported server, from any source.
 *
 * @module
 */

/** Something cannot be imported. Nothing was changed then. */
export class ImportError extends Error {
  /** Distinguishes this kind of error from others. */
  override name = "ImportError";

  /** @param hint What to do about it. */
  constructor(message: string, readonly hint?: string) {
    super(message);
  }
}

/** A client. Its private key is not imported, because it must not be stored. */
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
  /** The source, for messages. */
  readonly source: string;
  /** The name of its interface, if the source has it. */
  readonly interface: string | undefined;
  /** The server's own addresses with prefix lengths. */
  readonly addresses: readonly string[];
  readonly listenPort: number;
  readonly publicKey: string;
  readonly mtu?: number | undefined;
  /** The endpoint for clients. */
  readonly endpoint?: string | undefined;
  readonly dns?: readonly string[] | undefined;
  /** The allowed IPs of clients. */
  readonly clientAllowedIps?: readonly string[] | undefined;
  readonly keepalive?: number | undefined;
  /** The [Interface] section for the keeper, with the private key. */
  readonly section: string;
  readonly peers: readonly FoundPeer[];
  /** Whether the interface is running. It is not changed then. */
  readonly isRunning: boolean;
  /** What is not imported, for messages. */
  readonly notes: readonly string[];
}
