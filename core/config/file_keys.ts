/**
 * The keys of files, and the errors for lines with unknown keys.
 *
 * @module
 */

import { asciiLower } from "./lines.ts";
import { nearest } from "./nearest.ts";

/** The section that a line is in. */
export type Section = "interface" | "peer" | undefined;

const INTERFACE_KEYS = ["ListenPort", "FwMark", "PrivateKey"];
const PEER_KEYS = ["PublicKey", "PresharedKey", "AllowedIPs", "Endpoint", "PersistentKeepalive"];
const QUICK_KEYS = [
  "Address",
  "DNS",
  "MTU",
  "Table",
  "PreUp",
  "PostUp",
  "PreDown",
  "PostDown",
  "SaveConfig",
];
const ALL_KEYS = [...INTERFACE_KEYS, ...PEER_KEYS, ...QUICK_KEYS];

/**
 * Keys of AmneziaWG, a different protocol: WireGuard with junk packets (Jc, Jmin, Jmax), padding (S1 to S4), other
 * message types (H1 to H4) and packets that imitate other protocols (I1 to I5).
 */
const AMNEZIA_KEY = /^(?:jc|jmin|jmax|s[1-4]|h[1-4]|i[1-5]|j[1-3]|itime)$/i;

/** Whether a key is one of AmneziaWG. */
export function isAmneziaKey(key: string): boolean {
  return AMNEZIA_KEY.test(key);
}

/** A known key in the manual's spelling; any other as it was written. */
export function canonicalKey(key: string): string {
  const lower = asciiLower(key);
  return ALL_KEYS.find((known) => known.toLowerCase() === lower) ?? key;
}

/**
 * Explains why `wg` does not recognize a line, and how to fix it.
 *
 * @param line The line as `wg` reads it.
 * @param key The part before the "=", or the whole line.
 * @param value The part behind it, or nothing.
 */
export function adviseLine(line: string, key: string, value: string, section: Section): string {
  const name = canonicalKey(key);
  if (line.startsWith("[")) return `found the section "${line}", expected [Interface] or [Peer]`;
  if (section === undefined) {
    return `found "${key}" before any section, expected [Interface] or [Peer] on a line above it`;
  }
  const [here, there, header, other] = section === "interface"
    ? [INTERFACE_KEYS, PEER_KEYS, "[Interface]", "[Peer]"]
    : [PEER_KEYS, INTERFACE_KEYS, "[Peer]", "[Interface]"];
  if (here.includes(name)) {
    return line.includes("=")
      ? `found no value, expected one behind the "="; remove the line if it is not needed`
      : `found no "=", expected "${name} = VALUE"`;
  }
  if (there.includes(name)) return `found it in ${header}, expected it in ${other}; move the line there`;
  if (QUICK_KEYS.includes(name)) {
    return section === "interface"
      ? `found a key of wg-quick, expected one of ${here.join(", ")}; ` +
        `bring the file up with "wgd quick up", or remove such keys with "wgd quick strip"`
      : `found it in [Peer], expected it in [Interface]; move the line there`;
  }
  if (section === "interface" && isAmneziaKey(key)) {
    return `found a key of AmneziaWG, which is not compatible with WireGuard; ` +
      "use a WireGuard configuration, or AmneziaWG (if S1 and S2 are 0 and H1 to H4 are 1 to 4, " +
      "it is WireGuard on the wire: remove these lines)";
  }
  const near = nearest(name, [...here, ...(section === "interface" ? QUICK_KEYS : [])]);
  const found = value === "" ? `found "${line}"` : `found the key "${key}"`;
  return near ? `${found}; did you mean ${near}?` : `${found}, expected one of ${here.join(", ")}`;
}
