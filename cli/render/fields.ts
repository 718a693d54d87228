/**
 * An interface as text for scripts: the fields and the dump of `wg show` (show.c). Keys are not hidden.
 *
 * @module
 */

import { formatSocketAddress, type InterfaceName } from "../../core/config/endpoint.ts";
import { formatKey, type Key } from "../../core/config/key.ts";
import { formatPrefix } from "../../core/config/prefix.ts";
import type { DeviceState, PeerState } from "../../core/uapi/get.ts";

/** What the fields of an interface need in addition to its state. */
export interface FieldOptions {
  /** Comes before each line: nothing, or the interface's name and a tab. */
  readonly prefix: string;
  /** The interface's own public key, if it has a private one. */
  readonly publicKey: Key | undefined;
  /** Returns the name of the interface of a link-local endpoint. */
  readonly interfaceName: InterfaceName;
}

type Renderer = (state: DeviceState, options: FieldOptions) => Iterable<string>;

/** Each field, with a function that renders its lines. */
const FIELDS: ReadonlyMap<string, Renderer> = new Map<string, Renderer>([
  ["public-key", (_, { publicKey }) => [maybeKey(publicKey)]],
  ["private-key", ({ privateKey }) => [maybeKey(privateKey)]],
  ["listen-port", ({ listenPort }) => [String(listenPort)]],
  ["fwmark", ({ fwmark }) => [formatFwmark(fwmark)]],
  ["peers", ofPeers(() => [])],
  ["preshared-keys", ofPeers((peer) => [maybeKey(peer.presharedKey)])],
  ["endpoints", ofPeers((peer, options) => [formatEndpoint(peer, options)])],
  ["allowed-ips", ofPeers((peer) => [formatAllowedIps(peer, " ")])],
  ["latest-handshakes", ofPeers((peer) => [peer.lastHandshake.seconds])],
  ["transfer", ofPeers((peer) => [decimal(peer.rxBytes), decimal(peer.txBytes)])],
  ["persistent-keepalive", ofPeers((peer) => [peer.persistentKeepalive || "off"])],
  ["dump", dump],
]);

/** Whether a field exists. */
export function isField(field: string): boolean {
  return FIELDS.has(field);
}

/** Renders one field, line by line. */
export function* renderField(
  field: string,
  state: DeviceState,
  options: FieldOptions,
): Generator<string, void> {
  for (const line of FIELDS.get(field)!(state, options)) yield `${options.prefix}${line}\n`;
}

function ofPeers(values: (peer: PeerState, options: FieldOptions) => readonly (string | number)[]): Renderer {
  return function* (state, options) {
    for (const peer of state.peers) yield [formatKey(peer.publicKey), ...values(peer, options)].join("\t");
  };
}

function* dump(state: DeviceState, options: FieldOptions): Generator<string, void> {
  yield [
    maybeKey(state.privateKey),
    maybeKey(options.publicKey),
    state.listenPort,
    formatFwmark(state.fwmark),
  ].join("\t");
  yield* ofPeers((peer) => [
    maybeKey(peer.presharedKey),
    formatEndpoint(peer, options),
    formatAllowedIps(peer, ","),
    peer.lastHandshake.seconds,
    decimal(peer.rxBytes),
    decimal(peer.txBytes),
    peer.persistentKeepalive || "off",
  ])(state, options);
}

function maybeKey(key: Key | undefined): string {
  return key ? formatKey(key) : "(none)";
}

function formatFwmark(fwmark: number): string {
  return fwmark === 0 ? "off" : `0x${fwmark.toString(16)}`;
}

function formatEndpoint({ endpoint }: PeerState, { interfaceName }: FieldOptions): string {
  return endpoint ? formatSocketAddress(endpoint, interfaceName) : "(none)";
}

function formatAllowedIps({ allowedIps }: PeerState, separator: string): string {
  return allowedIps.length === 0 ? "(none)" : allowedIps.map(formatPrefix).join(separator);
}

/** Writes counters of up to 2^64, for which String would use exponents. */
function decimal(count: number): string {
  return count < 2 ** 53 ? String(count) : BigInt(count).toString();
}
