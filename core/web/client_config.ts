/**
 * The configuration of a device, without its private key.
 *
 * @module
 */

import { formatConfig } from "../config/format.ts";
import { parseKey } from "../config/key.ts";
import { containsPrefix, parsePrefix } from "../config/prefix.ts";
import { readAllowedIps, readEndpoint } from "../config/values.ts";
import type { Device, Network } from "./store/records.ts";

/**
 * Writes the file of a device, except for its PrivateKey line.
 *
 * @param presharedKey In base64. Without it, the file has no PresharedKey line either.
 */
export function clientConfig(device: Device, network: Network, presharedKey?: string): string {
  const { changes } = readAllowedIps(network.allowedIps.join(","), () => {});
  // The device is itself in the networks behind it. A route into the tunnel would cut it off from them.
  const behind = device.routedNetworks.map((text) => parsePrefix(text)!);
  const allowedIps = changes.filter(({ prefix }) => !behind.some((own) => containsPrefix(own, prefix)));
  return formatConfig({
    ...(device.addresses.length > 0 && {
      address: device.addresses.map((address) => `${address}/${address.includes(":") ? 128 : 32}`),
    }),
    ...(network.dns.length > 0 && { dns: [...network.dns] }),
    ...(network.mtu !== null && { mtu: network.mtu }),
    peers: [{
      publicKey: parseKey(network.publicKey)!,
      ...(presharedKey && { presharedKey: parseKey(presharedKey)! }),
      replaceAllowedIps: true,
      allowedIps,
      endpoint: readEndpoint(network.endpoint),
      ...(network.keepalive !== null && { persistentKeepalive: network.keepalive }),
    }],
  });
}
