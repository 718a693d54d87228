/**
 * The endpoints of a tunnel inside a program. Host names are looked up at the start, and again if a peer does not
 * answer.
 *
 * @module
 */

import { findEndpoints, lookUpAgain } from "../client/lookup.ts";
import { resolveEndpoint } from "../client/resolve.ts";
import type { EndpointText, SocketAddress } from "../config/endpoint.ts";
import { formatKey } from "../config/key.ts";
import type { Settings } from "../config/settings.ts";
import type { PeerConfig } from "../config/wg_config.ts";
import type { Log } from "../log.ts";
import type { DeviceChange } from "../uapi/set.ts";

/** Settings of a file for all endpoints, and for those of single peers. */
export type EndpointSettings = Pick<Settings, "resolveEndpoints" | "peers">;

/** The settings of a file that sets nothing. */
export const NO_SETTINGS: EndpointSettings = { peers: [] };

/** How endpoints are looked up. */
export interface EndpointOptions {
  readonly file: string;
  readonly settings: EndpointSettings;
  readonly log: Log;
  /** Looks one up. @throws {ValueError} If there is none. */
  readonly resolve?: (endpoint: EndpointText) => Promise<SocketAddress>;
  readonly resolveEndpoints?: boolean;
}

/** How often a lookup is repeated at the start after a temporary failure. The caller can start the tunnel again. */
const RETRIES = 2;

/** The endpoints of all peers. */
export class Endpoints {
  readonly #peers: readonly PeerConfig[];
  readonly #options: EndpointOptions;

  constructor(peers: readonly PeerConfig[], options: EndpointOptions) {
    this.#peers = peers;
    this.#options = options;
  }

  /**
   * Looks all of them up.
   *
   * @returns The address of each peer; undefined if it has no endpoint, or its name has to be looked up later.
   * @throws {ConfigError} If an endpoint can never be used, or none can be used now.
   */
  async find(): Promise<readonly (SocketAddress | undefined)[]> {
    const { resolve = (endpoint) => resolveEndpoint(endpoint, { retries: RETRIES }), file, log } =
      this.#options;
    const { addresses, failures } = await findEndpoints(
      this.#peers,
      file,
      resolve,
      (endpoint, index) => mayBeFoundLater(endpoint) && this.#isFollowed(index),
    );
    const [first] = failures;
    if (first && failures.length === this.#peers.length) throw first;
    for (const { message, hint } of failures) {
      log(
        "error",
        `${message}\nhint: ${hint}; the other peers come up, and the name is looked up again when something is ` +
          "sent to this peer",
      );
    }
    return addresses;
  }

  /** Adds the text of each endpoint to a change that has all peers, so that the engine can request a lookup. */
  named(change: DeviceChange): DeviceChange {
    const byKey = new Map(change.peers.map((peer) => [formatKey(peer.publicKey), peer]));
    this.#peers.forEach(({ publicKey, endpoint }, index) => {
      const peer = byKey.get(formatKey(publicKey));
      if (peer && endpoint && this.#isFollowed(index)) peer.endpointName = endpoint.text;
    });
    return change;
  }

  /** Called if a peer does not answer: looks up its endpoint again and sends it to the engine. */
  findAgain(publicKey: Uint8Array, name: string, tell: (change: DeviceChange) => Promise<void>): void {
    const { log, resolve } = this.#options;
    lookUpAgain(publicKey, name, tell, (message) => log("info", message), resolve)
      // By the program's own `resolve`, or because the tunnel has ended.
      .catch((error: Error) => log("info", `the endpoint ${name} cannot be looked up: ${error.message}`));
  }

  #isFollowed(index: number): boolean {
    const { resolveEndpoints = true, settings } = this.#options;
    return resolveEndpoints && (settings.peers[index]?.resolveEndpoints ?? settings.resolveEndpoints ?? true);
  }
}

/** Invalid addresses and names of services do not become valid later. */
function mayBeFoundLater({ host, port }: EndpointText): boolean {
  return !host.includes(":") && /^\d+$/.test(port);
}
