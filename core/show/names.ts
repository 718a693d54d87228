/**
 * Names of a running interface's peers.
 *
 * @module
 */

import { savedFile } from "../config/interface_name.ts";
import { peerNames } from "../config/names.ts";

/**
 * Reads the names from the interface's file, /etc/wireguard/NAME.conf.
 *
 * @returns Names by public keys in base64; none if the file is not there or not ours to read, as names are for display.
 */
export async function readPeerNames(name: string): Promise<ReadonlyMap<string, string>> {
  if (name.includes("/")) return new Map();
  try {
    return peerNames(await Deno.readTextFile(savedFile(name)));
  } catch {
    return new Map();
  }
}
