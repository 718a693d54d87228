/**
 * Edits the text of a file to match its interface, as `wg-quick save` does. Unlike `wg-quick`, this keeps comments,
 * order, and the names of hosts and peers.
 *
 * @module
 */

import { type ConfigSection, ConfigText, type Editable } from "../config/edit.ts";
import { formatKey } from "../config/key.ts";
import { parseDecimal } from "../config/number.ts";
import type { PeerConfig, WgConfig } from "../config/wg_config.ts";
import { excludesIPv6, isIPv6 } from "../config/pitfalls.ts";
import { formatPrefix, parsePrefix } from "../config/prefix.ts";
import { readAllowedIps, readEndpoint, readFwmark, readKeepalive } from "../config/values.ts";

/** The current state of an interface. */
export interface LiveInterface {
  /** Its addresses with their lengths; those of the file stay if they are not known. */
  readonly addresses?: readonly string[];
  /** In bytes; as above. */
  readonly mtu?: number;
  /** Keys and peers, as `wg showconf` writes them. */
  readonly wg: WgConfig;
}

/**
 * Edits a file so that it matches the interface.
 *
 * @param text The file, which `parseConfig` must accept.
 * @returns The new text; the same one if it already matches.
 */
export function savedConfig(text: string, { addresses, mtu, wg }: LiveInterface): string {
  const file = new ConfigText(text);
  const head = file.interface;
  if (addresses) updateAddresses(head, addresses);
  if (mtu !== undefined && head.values("MTU").length > 0) {
    update(head, "MTU", String(mtu), (value) => parseDecimal(value, 65_535));
  }
  update(
    head,
    "ListenPort",
    wg.listenPort === undefined ? undefined : String(wg.listenPort),
    (port) => Number(port) || undefined,
  );
  update(
    head,
    "FwMark",
    wg.fwmark === undefined ? undefined : `0x${wg.fwmark.toString(16)}`,
    (mark) => readFwmark(mark) || undefined,
  );
  update(head, "PrivateKey", wg.privateKey && formatKey(wg.privateKey), String);

  const live = new Map(wg.peers.map((peer) => [formatKey(peer.publicKey), peer]));
  const seen = new Set<string>();
  for (const section of file.peers) {
    const key = (section.values("PublicKey").at(-1) ?? "").replace(/\s/g, "");
    const peer = live.get(key);
    // If a peer has two sections, the first one gets everything.
    if (peer === undefined || seen.has(key)) file.remove(section);
    else updatePeer(section, peer);
    seen.add(key);
  }
  for (const [key, peer] of live) {
    if (!seen.has(key)) file.addPeer({ entries: [["PublicKey", key], ...entries(peer)] });
  }
  return file.toString();
}

function updateAddresses(head: Editable, addresses: readonly string[]): void {
  const written = head.values("Address").flatMap((line) => line.split(/[\s,]+/)).filter(Boolean);
  // The kernel sets link-local addresses by itself, so they do not belong in a file.
  const own = addresses.filter((address) =>
    !/^fe80:/i.test(address) || written.some((other) => sameText(other, address))
  );
  // With an MTU too small for IPv6, the interface has no IPv6 addresses. The file keeps them.
  const writtenMtu = parseDecimal(head.values("MTU").at(-1) ?? "", 65_535);
  if (writtenMtu !== null && excludesIPv6({ mtu: writtenMtu })) own.push(...written.filter(isIPv6));
  if (!sameSet(written.map(wholeAddress), own.map(wholeAddress))) head.set("Address", own);
}

/** The lines of a peer except its key, in the order of `wg showconf`. */
function entries(peer: PeerConfig): [key: string, value: string][] {
  const lines: [string, string][] = [];
  if (peer.presharedKey) lines.push(["PresharedKey", formatKey(peer.presharedKey)]);
  const allowedIps = peer.allowedIps.map(({ prefix }) => formatPrefix(prefix)).join(", ");
  if (allowedIps !== "") lines.push(["AllowedIPs", allowedIps]);
  if (peer.endpoint) lines.push(["Endpoint", peer.endpoint.text]);
  if (peer.persistentKeepalive) lines.push(["PersistentKeepalive", String(peer.persistentKeepalive)]);
  return lines;
}

function updatePeer(section: ConfigSection, peer: PeerConfig): void {
  const now = new Map(entries(peer));
  update(section, "PresharedKey", now.get("PresharedKey"), String);
  const written = section.values("AllowedIPs").flatMap((value) =>
    readAllowedIps(value.replace(/\s/g, ""), () => {}).changes.map(({ prefix }) => formatPrefix(prefix))
  );
  const actual = peer.allowedIps.map(({ prefix }) => formatPrefix(prefix));
  if (!sameSet(written, actual)) section.set("AllowedIPs", actual.length === 0 ? [] : [actual.join(", ")]);
  // A name stays, because its address may change.
  const endpoint = section.values("Endpoint").at(-1);
  if (endpoint === undefined || isNumeric(endpoint)) update(section, "Endpoint", now.get("Endpoint"), String);
  update(
    section,
    "PersistentKeepalive",
    now.get("PersistentKeepalive"),
    (value) => readKeepalive(value) || undefined,
  );
}

/** Sets a key, unless its line already means the same. If there are several lines, the last one counts. */
function update<T>(
  section: Editable,
  key: string,
  value: string | undefined,
  meaning: (value: string) => T | undefined,
): void {
  const written = section.values(key).at(-1)?.replace(/\s/g, "");
  const before = written === undefined ? undefined : meaning(written);
  const after = value === undefined ? undefined : meaning(value);
  if (before !== after) section.set(key, value === undefined ? [] : [value]);
}

function isNumeric(endpoint: string): boolean {
  const { host } = readEndpoint(endpoint.replace(/\s/g, ""));
  return parsePrefix(host.replace(/%.*$/, "")) !== null;
}

/** An address with its length, in one spelling. */
function wholeAddress(address: string): string {
  const [host, length] = address.split("/");
  const prefix = parsePrefix(host!);
  if (prefix === null) return address;
  return `${formatPrefix(prefix).split("/")[0]}/${length ?? prefix.length}`;
}

function sameText(a: string, b: string): boolean {
  return wholeAddress(a) === wholeAddress(b);
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return new Set(a).symmetricDifference(new Set(b)).size === 0;
}
