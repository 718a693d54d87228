/**
 * Endpoints as a file gives them: the interface learns them. Names are looked up again when a peer does not answer where
 * it was; addresses are tried again when it does not answer where it roamed to.
 *
 * @module
 */

import type { EndpointText } from "../config/endpoint.ts";
import { formatKey, parseKey } from "../config/key.ts";
import { setDevice } from "../client/client.ts";
import { Errno } from "../uapi/errno.ts";
import { peerChange, UapiError } from "../uapi/format.ts";
import { isNamed } from "../client/named.ts";
import type { QuickRunOptions, QuickSource, SourceConfig } from "./source.ts";

/** Endpoints by name, `host:port`, of peers by their public keys in base64. */
export type EndpointNames = ReadonlyMap<string, string>;

/** The names that an interface of this file has to know. */
export function namedEndpoints(
  source: QuickSource,
  { peers }: SourceConfig,
  options: QuickRunOptions,
): EndpointNames {
  return endpointTexts(source, peers, options, isNamed);
}

/**
 * Tells an interface which endpoints the file gives by address. They are on no record: an interface that does not know
 * them only stays where its peers roamed to.
 *
 * @param keys Only of these peers; by default of all.
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

/** The endpoints of a file by which an interface finds its peers again, those that count. */
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

/** Says that the kernel's WireGuard does not look names up again, of an interface that could have been wgd's. */
export function hintAtNames([name, ...others]: readonly string[]): string {
  const names = others.length > 0 ? `${name} and ${others.length} more` : name;
  return `hint: the kernel's WireGuard does not look up ${names} again when a peer does not answer; ` +
    'wgd\'s own does: "# wgd: Backend = wgd" in the file';
}

/**
 * Tells an interface names of endpoints. An interface that knows of no names stays as it is.
 *
 * @param names By public key; empty for peers that are to know none.
 * @param announce Told of each.
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
    // Another implementation has no use for names, and says so in one of these ways.
    if (error instanceof UapiError && (error.errno === Errno.EINVAL || error.errno === Errno.EPROTO)) return;
    throw error;
  }
  for (const [key, name] of names) announce(describeName(interfaceName, key, name));
}

/** A name of an endpoint as it is announced. */
export function describeName(interfaceName: string, key: string, name: string): string {
  const what = name === "" ? "endpoint by address" : `endpoint by name, ${name}`;
  return `wg set ${interfaceName} peer ${key} (${what})`;
}
