/**
 * Sends the endpoints to the interface as they are in the file. When a peer stops answering, the interface looks up its
 * name again, or returns to its address if the peer had roamed.
 *
 * @module
 */

import type { EndpointText } from "../config/endpoint.ts";
import { formatKey, parseKey } from "../config/key.ts";
import { setDevice } from "../client/devices.ts";
import { Errno } from "../uapi/errno.ts";
import { UapiError } from "../uapi/lines.ts";
import { peerChange } from "../uapi/set.ts";
import { isNamed } from "../client/named.ts";
import type { QuickRunOptions, QuickSource, SourceConfig } from "./source.ts";

/** Endpoints by name, `host:port`, of peers by their public keys in base64. */
export type EndpointNames = ReadonlyMap<string, string>;

/** The names that the interface of this file must know. */
export function namedEndpoints(
  source: QuickSource,
  { peers }: SourceConfig,
  options: QuickRunOptions,
): EndpointNames {
  return endpointTexts(source, peers, options, isNamed);
}

/**
 * Sends the endpoints that the file gives by address to an interface. These are not recorded. Without them, an
 * interface only keeps the addresses to which its peers roamed.
 *
 * @param keys Only the endpoints of these peers; by default of all.
 */
export async function tellAddresses(
  source: QuickSource,
  { peers }: SourceConfig,
  options: QuickRunOptions,
  keys?: ReadonlySet<string>,
): Promise<void> {
  const addresses = endpointTexts(source, peers, options, (endpoint) => !isNamed(endpoint));
  await nameEndpoints(source.name, new Map([...addresses].filter(([key]) => keys?.has(key) ?? true)));
}

/**
 * The endpoints of a file by which an interface finds its peers again.
 *
 * @param counts Selects the endpoints to return.
 */
export function endpointTexts(
  { config: { settings } }: QuickSource,
  peers: SourceConfig["peers"],
  { resolveEndpoints: wanted = true }: QuickRunOptions,
  counts: (endpoint: EndpointText) => boolean = () => true,
): EndpointNames {
  const texts = new Map<string, string>();
  if (!wanted) return texts;
  for (const { publicKey, endpoint, resolveEndpoints = settings.resolveEndpoints ?? true } of peers) {
    if (endpoint && resolveEndpoints && counts(endpoint)) texts.set(formatKey(publicKey), endpoint.text);
  }
  return texts;
}

/** Warns that the kernel's WireGuard does not look names up again, if the kernel was not requested. */
export function hintAtNames([name, ...others]: readonly string[]): string {
  const names = others.length > 0 ? `${name} and ${others.length} more` : name;
  return `hint: the kernel's WireGuard does not look up ${names} again when a peer does not answer; ` +
    'wgd\'s own does: "# wgd: Backend = wgd" in the file';
}

/**
 * Sends the names of endpoints to an interface. This has no effect on other implementations, which do not support
 * names.
 *
 * @param names By public key; an empty one removes a peer's name.
 * @param announce Called with each.
 */
export async function nameEndpoints(
  interfaceName: string,
  names: EndpointNames,
  announce: (text: string) => void = () => {},
): Promise<void> {
  if (names.size === 0) return;
  const peers = [...names].map(([key, endpointName]) =>
    peerChange(parseKey(key)!, { updateOnly: true, endpointName })
  );
  try {
    await setDevice(interfaceName, { replacePeers: false, peers });
  } catch (error) {
    // Other implementations refuse names with one of these errors.
    if (error instanceof UapiError && (error.errno === Errno.EINVAL || error.errno === Errno.EPROTO)) return;
    throw error;
  }
  for (const [key, name] of names) announce(describeName(interfaceName, key, name));
}

/** The announcement of an endpoint's name. */
export function describeName(interfaceName: string, key: string, name: string): string {
  const what = name === "" ? "endpoint by address" : `endpoint by name, ${name}`;
  return `wg set ${interfaceName} peer ${key} (${what})`;
}
