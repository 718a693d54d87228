/**
 * A configuration as the WireGuard apps take it: they know the keys of `wg` and, of those of `wg-quick`, Address, DNS
 * and MTU, and refuse a file with any other.
 *
 * @module
 */

import { formatConfig, parseConfig } from "../config/format.ts";
import type { ParseOptions, PeerConfig } from "../config/wg_config.ts";
import { formatPrefix } from "../config/prefix.ts";

/** What a phone gets. */
export interface PhoneConfig {
  /** The file to show; it holds the private key. */
  readonly text: string;
  /** Keys that were in the file and are not in the text, as the manual spells them. */
  readonly leftOut: readonly string[];
}

/**
 * Takes out what the apps refuse.
 *
 * @param text A whole configuration file.
 * @throws {ConfigError} At the first line that cannot be used.
 */
export function phoneConfig(text: string, options: ParseOptions = {}): PhoneConfig {
  const { table, preUp, postUp, preDown, postDown, saveConfig, fwmark, ...config } = parseConfig(
    text,
    options,
  );
  const present: [key: string, present: boolean][] = [
    ["Table", table !== undefined],
    ["PreUp", !!preUp?.length],
    ["PostUp", !!postUp?.length],
    ["PreDown", !!preDown?.length],
    ["PostDown", !!postDown?.length],
    ["SaveConfig", !!saveConfig],
    ["FwMark", !!fwmark],
  ];
  return {
    text: formatConfig({ ...config, peers: config.peers.map(withoutSteps) }),
    leftOut: present.filter(([, present]) => present).map(([key]) => key),
  };
}

/** Items with `+` and `-` mean a change to what runs; a phone has nothing yet, so only what is left of them counts. */
function withoutSteps(peer: PeerConfig): PeerConfig {
  const left = new Map<string, PeerConfig["allowedIps"][number]>();
  for (const change of peer.allowedIps) {
    const key = formatPrefix(change.prefix);
    if (change.remove) left.delete(key);
    else left.set(key, change);
  }
  return { ...peer, replaceAllowedIps: true, allowedIps: [...left.values()] };
}
