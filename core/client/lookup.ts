/**
 * Looks up endpoints: all of a file at the start, and one whose peer does not answer. The engine's thread does not do
 * this, because it would have to wait for the name server.
 *
 * @module
 */

import { ConfigError } from "../config/config_error.ts";
import { type EndpointText, formatSocketAddress, type SocketAddress } from "../config/endpoint.ts";
import { formatKey } from "../config/key.ts";
import { readEndpoint, ValueError } from "../config/values.ts";
import type { PeerConfig } from "../config/wg_config.ts";
import { UapiError } from "../uapi/lines.ts";
import { type DeviceChange, peerChange } from "../uapi/set.ts";

/** The results. */
export interface FoundEndpoints {
  /** The address of each peer; undefined if it has no endpoint, or its name could not be looked up. */
  readonly addresses: readonly (SocketAddress | undefined)[];
  /** Why names could not be looked up. */
  readonly failures: readonly ConfigError[];
}

/**
 * Looks up all endpoints of a file.
 *
 * @param mayWait Whether the tunnel can work without this endpoint until it is looked up again.
 * @throws {ConfigError} If it cannot.
 */
export async function findEndpoints(
  peers: readonly PeerConfig[],
  file: string,
  resolve: (endpoint: EndpointText) => Promise<SocketAddress>,
  mayWait: (endpoint: EndpointText, index: number) => boolean,
): Promise<FoundEndpoints> {
  const failures: ConfigError[] = [];
  const addresses = await Promise.all(peers.map(async ({ endpoint, endpointLine = 0 }, index) => {
    try {
      return endpoint && await resolve(endpoint);
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      const failure = new ConfigError(error.message, file, endpointLine, "Endpoint", error.advice);
      if (!endpoint || !mayWait(endpoint, index)) throw failure;
      failures.push(failure);
      return undefined;
    }
  }));
  return { addresses, failures };
}

/**
 * Looks up the name of an endpoint once and sends the address to the engine, which decides whether it still needs it.
 *
 * @param publicKey The public key of the peer.
 * @param endpointName `host:port`.
 * @param report Called with the result or the reason of a failure.
 * @param resolve Looks up a name. By default it uses the system's name servers.
 */
export async function lookUpAgain(
  publicKey: Uint8Array,
  endpointName: string,
  tell: (change: DeviceChange) => Promise<void>,
  report: (message: string) => void,
  resolve?: (endpoint: EndpointText) => Promise<SocketAddress>,
): Promise<void> {
  const about = `peer ${formatKey(publicKey)} does not answer; its endpoint ${endpointName}`;
  try {
    const foundEndpoint = await (resolve ?? systemResolve)(readEndpoint(endpointName));
    report(`${about} is at ${formatSocketAddress(foundEndpoint)}`);
    await tell({
      replacePeers: false,
      peers: [peerChange(publicKey, { updateOnly: true, foundEndpoint })],
    });
  } catch (error) {
    // If it fails, the next unanswered initiation requests another lookup. An interface that has ended makes no more
    // requests.
    if (!(error instanceof ValueError || error instanceof UapiError)) throw error;
    report(`${about} cannot be looked up: ${error.message}`);
  }
}

async function systemResolve(endpoint: EndpointText): Promise<SocketAddress> {
  // Loaded when needed, because most interfaces never need it and it would slow down their start.
  const { resolveEndpoint } = await import("./resolve.ts");
  return await resolveEndpoint(endpoint, { retries: 0 });
}
