/**
 * Writes configurations as text, in the form of `wg showconf`.
 *
 * @module
 */

import type { EndpointText } from "./endpoint.ts";
import { formatKey } from "./key.ts";
import { parseQuickConfig, type QuickOptions } from "./quick_config.ts";
import { type ParseOptions, parseWgConfig, type WgConfig } from "./wg_config.ts";
import { formatPrefix } from "./prefix.ts";

/** A whole configuration: the keys of `wg` and, if the file has any, those of `wg-quick`. */
export type Config = WgConfig & Partial<QuickOptions>;

/**
 * Reads a configuration file of `wg` or `wg-quick`.
 *
 * @example A file as a phone gets it.
 * ```ts
 * import { parseConfig } from "@wgd/wgd";
 * import { equal } from "node:assert/strict";
 *
 * const config = parseConfig("[Interface]\nAddress = 10.0.0.2/24\nListenPort = 51820\n");
 * equal(config.listenPort, 51820);
 * equal(config.address?.[0], "10.0.0.2/24");
 * ```
 *
 * @param text The whole file.
 * @throws {ConfigError} At the first line that cannot be used.
 */
export function parseConfig(text: string, options: ParseOptions = {}): Config {
  const { quick, wg, wgLines } = parseQuickConfig(text, options);
  return { ...quick, ...parseWgConfig(wg, { ...options, lines: wgLines }) };
}

/**
 * Writes a configuration file.
 *
 * @example A file that is read and written.
 * ```ts
 * import { formatConfig, parseConfig } from "@wgd/wgd";
 * import { equal } from "node:assert/strict";
 *
 * equal(formatConfig(parseConfig("[Interface]\nfwmark=51820")), "[Interface]\nFwMark = 0xca6c\n\n");
 * ```
 *
 * @returns The text; the sections are those of `wg showconf`, with the keys of `wg-quick` first.
 */
export function formatConfig(config: Config): string {
  let text = "[Interface]\n";
  for (const address of config.address ?? []) text += `Address = ${address}\n`;
  const dns = [...config.dns ?? [], ...config.dnsSearch ?? []];
  if (dns.length > 0) text += `DNS = ${dns.join(", ")}\n`;
  if (config.mtu !== undefined) text += `MTU = ${config.mtu}\n`;
  if (config.table !== undefined) text += `Table = ${config.table}\n`;
  if (config.saveConfig) text += "SaveConfig = true\n";
  for (const hook of config.preUp ?? []) text += `PreUp = ${hook}\n`;
  for (const hook of config.postUp ?? []) text += `PostUp = ${hook}\n`;
  for (const hook of config.preDown ?? []) text += `PreDown = ${hook}\n`;
  for (const hook of config.postDown ?? []) text += `PostDown = ${hook}\n`;
  if (config.listenPort !== undefined) text += `ListenPort = ${config.listenPort}\n`;
  if (config.fwmark !== undefined) text += `FwMark = 0x${config.fwmark.toString(16)}\n`;
  if (config.privateKey) text += `PrivateKey = ${formatKey(config.privateKey)}\n`;
  for (const peer of config.peers) {
    text += `\n[Peer]\nPublicKey = ${formatKey(peer.publicKey)}\n`;
    if (peer.presharedKey) text += `PresharedKey = ${formatKey(peer.presharedKey)}\n`;
    const allowedIps = peer.allowedIps.map(({ remove, prefix }) =>
      `${remove ? "-" : peer.replaceAllowedIps ? "" : "+"}${formatPrefix(prefix)}`
    );
    if (allowedIps.length > 0) text += `AllowedIPs = ${allowedIps.join(", ")}\n`;
    if (peer.endpoint) text += `Endpoint = ${formatEndpoint(peer.endpoint)}\n`;
    if (peer.persistentKeepalive !== undefined) text += `PersistentKeepalive = ${peer.persistentKeepalive}\n`;
  }
  // wg ends the interface's section with an empty line, also if no peer follows.
  return config.peers.length === 0 ? `${text}\n` : text;
}

function formatEndpoint({ host, port }: EndpointText): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
