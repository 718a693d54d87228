/**
 * Interfaces as `wgd show --watch` draws them.
 *
 * @module
 */

import { formatSocketAddress, type InterfaceName } from "../../core/config/endpoint.ts";
import { formatKey } from "../../core/config/key.ts";
import type { DeviceState } from "../../core/uapi/get.ts";
import type { Colors } from "./colors.ts";
import { ago, bytes, newestHandshakeFirst } from "./pretty.ts";

/** The state of an interface at one time. */
export interface Reading {
  readonly name: string;
  readonly state: DeviceState;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Names of peers by their public keys in base64. */
  readonly names: ReadonlyMap<string, string>;
}

/**
 * Draws one interface: a block of lines for each peer, newest handshake first.
 *
 * @param before The reading before this one, from which rates are computed; without it there are no rates.
 */
export function watchLines(
  { name, state, at, names }: Reading,
  before: Reading | undefined,
  colors: Colors,
  interfaceName: InterfaceName,
): string[] {
  const { reset, bold, green, yellow } = colors;
  const port = state.listenPort === 0 ? "" : `, port ${state.listenPort}`;
  const lines = [`${green}${bold}${name}${reset}${port}, ${state.peers.length} peers`];
  const earlier = new Map(before?.state.peers.map((peer) => [formatKey(peer.publicKey), peer]));
  const seconds = before ? Math.max(0.001, (at - before.at) / 1000) : 1;
  for (const peer of [...state.peers].sort(newestHandshakeFirst)) {
    const key = formatKey(peer.publicKey);
    const last = earlier.get(key);
    // A peer that was removed and added again counts from zero.
    const rate = (now: number, then: number | undefined) =>
      then === undefined ? "-" : `${bytes(Math.round(Math.max(0, now - then) / seconds), colors)}/s`;
    const handshake = peer.lastHandshake.seconds;
    const shown = names.get(key);
    lines.push(
      "",
      `${yellow}${shown ? `${bold}${shown}${reset}${yellow} ` : ""}${key}${reset}`,
      `  endpoint   ${peer.endpoint ? formatSocketAddress(peer.endpoint, interfaceName) : "not known"}`,
      `  handshake  ${handshake === 0 ? "none yet" : ago(handshake, Math.floor(at / 1000), colors)}`,
      `  received   ${rate(peer.rxBytes, last?.rxBytes)}, ${bytes(peer.rxBytes, colors)} in all`,
      `  sent       ${rate(peer.txBytes, last?.txBytes)}, ${bytes(peer.txBytes, colors)} in all`,
    );
  }
  return lines;
}
