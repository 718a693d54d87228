/**
 * A configuration for the WireGuard apps. They support the keys of `wg`, and Address, DNS and MTU of `wg-quick`. They
 * refuse a file with any other key.
 *
 * @module
 */

import { formatConfig, parseConfig } from "../config/format.ts";
import type { ParseOptions, PeerConfig } from "../config/wg_config.ts";
import { formatPrefix } from "../config/prefix.ts";

/** A configuration for a phone. */
export interface PhoneConfig {
  /** The file to show. It contains the private key. */
  readonly text: string;
  /** Keys of the file that are left out, in the spelling of the manual. */
  readonly leftOut: readonly string[];
}

/**
 * Removes what the apps refuse.
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

/** Items with `+` and `-` change an existing list. A phone has none, so only the resulting list counts. */
function withoutSteps(peer: PeerConfig): PeerConfig {
  const left = new Map<string, PeerConfig["allowedIps"][number]>();
  for (const change of peer.allowedIps) {
    const key = formatPrefix(change.prefix);
    if (change.remove) left.delete(key);
    else left.set(key, change);
  }
  return { ...peer, replaceAllowedIps: true, allowedIps: [...left.values()] };
}
