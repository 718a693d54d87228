/**
 * Opens a server's file for changes.
 *
 * @module
 */

import { savedFile } from "../config/interface_name.ts";
import { parseKey } from "../config/key.ts";
import { ConfigFile } from "../locked_config_file.ts";
import { FileError } from "../file_error.ts";

/** A server's peers could not be changed or listed. Nothing was changed. */
export class PeersError extends Error {
  /** Distinguishes this kind of error from others. */
  override name = "PeersError";

  /**
   * Makes the error; it holds no secret.
   *
   * @param message What is wrong.
   * @param hint What to do about it.
   */
  constructor(message: string, readonly hint: string) {
    super(message);
  }
}

/**
 * Reads and locks a server's file. Concurrent calls wait for each other.
 *
 * @param server Name of its interface.
 * @param path The file.
 * @default {"/etc/wireguard/SERVER.conf"}
 * @throws {PeersError} If there is no such file.
 * @throws {FileError} If it cannot be read.
 */
export async function openServerFile(
  server: string,
  path = savedFile(server),
): Promise<ConfigFile> {
  try {
    return await ConfigFile.open(path);
  } catch (error) {
    if (!(error instanceof FileError && error.cause instanceof Deno.errors.NotFound)) throw error;
    throw new PeersError(
      `there is no ${path}`,
      "peers are added to the file of their server; create that file first",
    );
  }
}

/**
 * Finds the public key of a peer.
 *
 * @param names Names of all peers that have one, by public key.
 * @param who A name, or a public key, which need not be among them.
 * @throws {PeersError} If there is no such peer, or several of that name.
 */
export function findPeer(names: ReadonlyMap<string, string>, who: string, server: string): string {
  const keys = [...names].filter(([, name]) => name === who).map(([key]) => key);
  if (keys.length > 1) {
    throw new PeersError(
      `${server} has ${keys.length} peers named "${who}"`,
      `say which by its key: ${keys.join(" or ")}`,
    );
  }
  if (keys.length === 0 && parseKey(who) === null) {
    throw new PeersError(`${server} has no peer named "${who}"`, `see all: wgd peer list ${server}`);
  }
  return keys[0] ?? who;
}
