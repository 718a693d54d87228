/**
 * Looking up where a peer is that is not heard. This runs in the main thread; the engine has no time to wait for a name
 * server.
 *
 * @module
 */

import { formatSocketAddress } from "../config/endpoint.ts";
import { formatKey } from "../config/key.ts";
import { readEndpoint, ValueError } from "../config/values.ts";
import { setDevice } from "../client/client.ts";
import { type DeviceChange, peerChange, UapiError } from "../uapi/format.ts";
import type { Log } from "../log.ts";

/**
 * Looks the name of an endpoint up, once, and tells the interface; whether it still matters is the engine's to say.
 *
 * @param name The interface.
 * @param publicKey The peer's.
 * @param endpointName `host:port`.
 * @param tell Tells the interface, by default over its control socket.
 */
export async function lookUp(
  name: string,
  publicKey: Uint8Array,
  endpointName: string,
  log: Log,
  tell = (change: DeviceChange): Promise<void> => setDevice(name, change),
): Promise<void> {
  const about = `peer ${formatKey(publicKey)} does not answer; its endpoint ${endpointName}`;
  try {
    // Most interfaces never need it, and all would wait for it at their start.
    const { resolveEndpoint } = await import("../client/resolve.ts");
    const foundEndpoint = await resolveEndpoint(readEndpoint(endpointName), { retries: 0 });
    log("info", `${about} is at ${formatSocketAddress(foundEndpoint)}`);
    await tell({
      replacePeers: false,
      peers: [peerChange(publicKey, { updateOnly: true, foundEndpoint })],
    });
  } catch (error) {
    // The next initiation that finds no answer asks again; an interface that has ended asks no more.
    if (!(error instanceof ValueError || error instanceof UapiError)) throw error;
    log("info", `${about} cannot be looked up: ${error.message}`);
  }
}
