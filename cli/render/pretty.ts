/**
 * An interface as text for users, as `wg show` prints it (show.c).
 *
 * @module
 */

import { formatAddress } from "../../core/config/address.ts";
import { formatSocketAddress, type InterfaceName } from "../../core/config/endpoint.ts";
import { formatKey, type Key } from "../../core/config/key.ts";
import type { DeviceState, PeerState } from "../../core/uapi/get.ts";
import type { Colors } from "./colors.ts";

/** How to render an interface. */
export interface PrettyOptions {
  /** Escape sequences, or none. */
  readonly colors: Colors;
  /** Whether private and preshared keys are shown. */
  readonly showKeys: boolean;
  /** Seconds since 1970. */
  readonly now: number;
  /** The interface's own public key, if it has a private one. */
  readonly publicKey: Key | undefined;
  /** Names of peers by their public keys in base64, shown after the key; `wg` has none. */
  readonly names?: ReadonlyMap<string, string>;
  /** Returns the name of the interface of a link-local endpoint. */
  readonly interfaceName: InterfaceName;
}

/** Renders one interface; its peers are sorted by their last handshake. */
export function* pretty(name: string, state: DeviceState, options: PrettyOptions): Generator<string, void> {
  const { colors: { reset, bold, green }, showKeys } = options;
  const secret = (key: Key) => showKeys ? formatKey(key) : "(hidden)";
  const line = (label: string, value: string | number) => `  ${bold}${label}${reset}: ${value}\n`;

  yield `${reset}${green}${bold}interface${reset}: ${green}${name}${reset}\n`;
  if (options.publicKey) yield line("public key", formatKey(options.publicKey));
  if (state.privateKey) yield line("private key", secret(state.privateKey));
  if (state.listenPort !== 0) yield line("listening port", state.listenPort);
  if (state.fwmark !== 0) yield line("fwmark", `0x${state.fwmark.toString(16)}`);
  for (const peer of [...state.peers].sort(newestHandshakeFirst)) {
    yield prettyPeer(peer, options, line, secret);
  }
}

function prettyPeer(
  peer: PeerState,
  { colors, now, names, interfaceName }: PrettyOptions,
  line: (label: string, value: string) => string,
  secret: (key: Key) => string,
): string {
  const { reset, bold, yellow, cyan } = colors;
  const key = formatKey(peer.publicKey);
  const name = names?.get(key);
  let text = `\n${yellow}${bold}peer${reset}: ${yellow}${key}${reset}${name ? ` (${name})` : ""}\n`;
  if (peer.presharedKey) text += line("preshared key", secret(peer.presharedKey));
  if (peer.endpoint) text += line("endpoint", formatSocketAddress(peer.endpoint, interfaceName));
  const allowedIps = peer.allowedIps.map(({ address, length }) =>
    `${formatAddress(address)}${cyan}/${reset}${length}`
  );
  text += line("allowed ips", allowedIps.length === 0 ? "(none)" : allowedIps.join(", "));
  const { seconds } = peer.lastHandshake;
  if (seconds !== 0) text += line("latest handshake", ago(seconds, now, colors));
  if (peer.rxBytes !== 0 || peer.txBytes !== 0) {
    text += line("transfer", `${bytes(peer.rxBytes, colors)} received, ${bytes(peer.txBytes, colors)} sent`);
  }
  if (peer.persistentKeepalive !== 0) {
    text += line("persistent keepalive", `every ${duration(peer.persistentKeepalive, colors)}`);
  }
  return text;
}

/** Sorts peers by their last handshake, newest first; peers without one come last. */
export function newestHandshakeFirst(a: PeerState, b: PeerState): number {
  return b.lastHandshake.seconds - a.lastHandshake.seconds ||
    b.lastHandshake.nanoseconds - a.lastHandshake.nanoseconds;
}

/**
 * Formats how long ago something was.
 *
 * @param then Seconds since 1970.
 * @param now Seconds since 1970.
 */
export function ago(then: number, now: number, colors: Colors): string {
  if (now === then) return "Now";
  if (now < then) {
    return `(${colors.red}System clock wound backward; connection problems may ensue.${colors.reset})`;
  }
  return `${duration(now - then, colors)} ago`;
}

const UNITS: readonly [string, number][] = [
  ["year", 365 * 24 * 60 * 60],
  ["day", 24 * 60 * 60],
  ["hour", 60 * 60],
  ["minute", 60],
  ["second", 1],
];

/** Formats a duration in all units that are not zero. */
export function duration(seconds: number, { cyan, reset }: Colors): string {
  const parts: string[] = [];
  let left = seconds;
  for (const [unit, length] of UNITS) {
    const count = Math.floor(left / length);
    left %= length;
    if (count !== 0) parts.push(`${count} ${cyan}${unit}${count === 1 ? "" : "s"}${reset}`);
  }
  return parts.join(", ");
}

/** Formats a number of bytes in the largest unit of which there is at least one. */
export function bytes(count: number, { cyan, reset }: Colors): string {
  if (count < 1024) return `${count} ${cyan}B${reset}`;
  const power = count < 2 ** 20 ? 1 : count < 2 ** 30 ? 2 : count < 2 ** 40 ? 3 : 4;
  return `${hundredths(count, 2 ** (10 * power))} ${cyan}${" KMGT"[power]}iB${reset}`;
}

/** Divides with two decimals and rounds half to even, as printf does; toFixed would round 1.125 to 1.13. */
function hundredths(count: number, unit: number): string {
  const scaled = BigInt(count) * 100n;
  const divisor = BigInt(unit);
  const twiceLeft = scaled % divisor * 2n;
  let quotient = scaled / divisor;
  if (twiceLeft > divisor || twiceLeft === divisor && quotient % 2n === 1n) quotient++;
  const digits = quotient.toString().padStart(3, "0");
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
}
