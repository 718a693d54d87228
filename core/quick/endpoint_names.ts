/**
 * Endpoints that a file gives by name: the interface learns the names, and has them looked up again when a peer does not
 * answer where it was.
 *
 * @module
 */

import { formatKey, parseKey } from "../config/key.ts";
import { setDevice } from "../client/client.ts";
import { Errno } from "../uapi/errno.ts";
import { type DeviceState, peerChange, UapiError } from "../uapi/format.ts";
import { isNamed } from "../client/resolve.ts";
import type { QuickRunOptions, QuickSource, SourceConfig } from "./source.ts";

/** Endpoints by name, `host:port`, of peers by their public keys in base64. */
export type EndpointNames = ReadonlyMap<string, string>;

/** The names that an interface of this file has to know. */
export function namedEndpoints(
  { config: { settings } }: QuickSource,
  { peers }: SourceConfig,
  { resolveEndpoints: wanted = true }: QuickRunOptions,
): EndpointNames {
  const names = new Map<string, string>();
  if (!wanted) return names;
  for (const { publicKey, endpoint, resolveEndpoints = settings.resolveEndpoints ?? true } of peers) {
    if (endpoint && resolveEndpoints && isNamed(endpoint)) names.set(formatKey(publicKey), endpoint.text);
  }
  return names;
}

/** The names that an interface knows. */
export function namesOf({ peers }: DeviceState): EndpointNames {
  return new Map(
    peers.flatMap(({ publicKey, endpointName }) =>
      endpointName === undefined ? [] : [[formatKey(publicKey), endpointName]]
    ),
  );
}

/**
 * Makes the names that an interface knows the wanted ones. An interface that knows of no names stays as it is.
 *
 * @param had What it knows now.
 * @param announce Told of each peer whose name changes.
 */
export async function nameEndpoints(
  interfaceName: string,
  wanted: EndpointNames,
  had: EndpointNames,
  announce: (text: string) => void = () => {},
): Promise<void> {
  const changed = new Map([
    ...[...had.keys()].filter((key) => !wanted.has(key)).map((key) => [key, ""] as const),
    ...[...wanted].filter(([key, name]) => had.get(key) !== name),
  ]);
  if (changed.size === 0) return;
  const peers = [...changed].map(([key, endpointName]) =>
    peerChange(parseKey(key)!, { updateOnly: true, endpointName })
  );
  try {
    await setDevice(interfaceName, { replacePeers: false, peers });
  } catch (error) {
    // Another implementation has no use for names, and says so in one of these ways.
    if (error instanceof UapiError && (error.errno === Errno.EINVAL || error.errno === Errno.EPROTO)) return;
    throw error;
  }
  for (const [key, name] of changed) {
    announce(`wg set peer ${key} (${name === "" ? "endpoint by address" : `endpoint by name, ${name}`})`);
  }
}
