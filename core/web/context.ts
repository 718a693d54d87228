/**
 * The services that the parts of the web process use.
 *
 * @module
 */

import type { ServedCertificate } from "./certificate.ts";
import type { Settling } from "./interfaces.ts";
import type { KeeperClient } from "./keeper/client.ts";
import type { SignIn } from "./sign_in/sign_in.ts";
import type { PageFiles } from "./assets/files.ts";
import type { Sampler } from "./live/sampler.ts";
import type { Peers } from "./peers.ts";
import type { Store } from "./store/store.ts";

/** The services that the parts of the web process use. */
export interface Context {
  readonly store: Store;
  readonly keeper: KeeperClient;
  /** Synchronizes the interfaces with the store. */
  readonly peers: Peers;
  /** Settles interfaces later if that fails at first. */
  readonly settling: Pick<Settling, "retry">;
  readonly signIn: SignIn;
  /** Undefined behind a proxy. */
  readonly certificate?: Pick<ServedCertificate, "fingerprint" | "expiresAt" | "problem"> | undefined;
  /** Makes a copy of the store. */
  readonly backup: () => Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
  /** Reads the interfaces' counters. */
  readonly sampler: Sampler;
  /** The files of the page. */
  readonly page: PageFiles;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** Logs a text without secrets. */
  readonly log: (text: string) => void;
}

/** The origin of a request, as far as it is known. */
export interface RequestInfo {
  /** The client's IP address. */
  readonly address: string;
  /** Whether the client's connection is encrypted, by this server or by the proxy in front of it. */
  readonly secure: boolean;
  /** The host that the client requested, such as `vpn.example:443`. */
  readonly host: string;
}
