/**
 * Removes a client.
 *
 * @module
 */

import { ConfigText } from "../config/edit.ts";
import { peerNames } from "../config/names.ts";
import { equalBytes, parseKey } from "../config/key.ts";
import { getDevice, setDevice } from "../client/devices.ts";
import { listInterfaces } from "../client/listing.ts";
import { peerChange } from "../uapi/set.ts";
import { findPeer, openServerFile, PeersError } from "./server_file.ts";

/**
 * Removes a peer from a server's file and from the running interface.
 *
 * @param server Name of the server's interface.
 * @param who The peer's name in the file, or its public key in base64.
 * @param file The server's file.
 * @default {"/etc/wireguard/SERVER.conf"}
 * @returns Its public key in base64.
 * @throws {PeersError} If there is no such peer, or several of that name.
 * @throws {FileError} If the file cannot be read or written; then nothing has changed.
 * @throws {UapiError} If the interface refuses; then the file has been changed already.
 */
export async function removePeer(server: string, who: string, file?: string): Promise<string> {
  using serverFile = await openServerFile(server, file);
  const { text } = serverFile;
  const publicKey = findPeer(peerNames(text), who, server);
  const edited = new ConfigText(text);
  for (const peer of edited.peers) {
    if (peer.values("PublicKey").some((value) => value.replace(/\s/g, "") === publicKey)) edited.remove(peer);
  }
  const running = (await listInterfaces()).includes(server) ? await getDevice(server) : undefined;
  const key = parseKey(publicKey)!;
  const known = running?.peers.some((peer) => equalBytes(peer.publicKey, key)) ?? false;
  if (edited.toString() === text && !known) {
    throw new PeersError(`${server} has no peer ${publicKey}`, `see all: wgd peer list ${server}`);
  }
  // The file first, because a peer that returns at the next start would be worse than one that is not removed yet.
  if (edited.toString() !== text) await serverFile.write(edited.toString());
  if (known) {
    await setDevice(server, { replacePeers: false, peers: [peerChange(key, { remove: true })] });
  }
  return publicKey;
}
