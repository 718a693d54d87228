/**
 * A server's clients, from its file and the running interface.
 *
 * @module
 */

import { ConfigText } from "../config/edit.ts";
import { peerNames } from "../config/names.ts";
import { type PeerJson, peerJson } from "../show/json.ts";
import { getDevice } from "../client/devices.ts";
import { listInterfaces } from "../client/listing.ts";
import { interfaceName } from "../client/system.ts";
import { openServerFile } from "./server_file.ts";

/** One client. */
export interface ServerPeer extends PeerJson {
  /**
   * Whether it is in the file, or in the database of `wgd web`. If not, it is lost when the interface comes up again.
   */
  inFile: boolean;
  /** Whether it is in the running interface. If not, values that only the interface has are null or 0. */
  running: boolean;
}

/**
 * Lists a server's clients, in the file's order; then those that only the running interface has.
 *
 * @param server Name of the server's interface.
 * @param file The server's file.
 * @default {"/etc/wireguard/SERVER.conf"}
 * @throws {PeersError} If there is no such file.
 */
export async function listPeers(server: string, file?: string): Promise<ServerPeer[]> {
  using serverFile = await openServerFile(server, file);
  const { text } = serverFile;
  const names = peerNames(text);
  const running = (await listInterfaces()).includes(server)
    ? (await getDevice(server)).peers.map((peer) => peerJson(peer, { names, secrets: false, interfaceName }))
    : [];
  const live = new Map(running.map((peer) => [peer.publicKey, peer]));
  const found = new Map<string, ServerPeer>();
  for (const section of new ConfigText(text).peers) {
    const publicKey = (section.values("PublicKey").at(-1) ?? "").replace(/\s/g, "");
    const written: PeerJson = {
      publicKey,
      name: names.get(publicKey) ?? null,
      hasPresharedKey: section.values("PresharedKey").length > 0,
      endpoint: section.values("Endpoint").at(-1) ?? null,
      allowedIps: section.values("AllowedIPs").flatMap((value) => value.split(/[\s,]+/)).filter(Boolean),
      latestHandshake: null,
      rxBytes: 0,
      txBytes: 0,
      persistentKeepalive: null,
    };
    found.set(publicKey, { ...live.get(publicKey) ?? written, inFile: true, running: live.has(publicKey) });
  }
  for (const [publicKey, peer] of live) {
    if (!found.has(publicKey)) found.set(publicKey, { ...peer, inFile: false, running: true });
  }
  return [...found.values()];
}
