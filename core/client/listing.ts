/**
 * The names of this machine's interfaces and of a user's proxies.
 *
 * @module
 */

import { UapiError } from "../uapi/lines.ts";
import { SOCKET_FOLDER, SOCKET_SUFFIX } from "../uapi/socket_path.ts";
import { connectAt, toUapiError } from "./control_connection.ts";
import { listKernelInterfaces } from "./kernel.ts";
import { ownProxyFolder } from "./proxy_sockets.ts";

/**
 * Returns the names of this machine's WireGuard interfaces: first the kernel's, then those with a control socket that
 * answers.
 *
 * @throws {UapiError} If the kernel or the directory of control sockets cannot be read.
 */
export async function listInterfaces(): Promise<string[]> {
  return [...listKernelInterfaces(), ...await answering(SOCKET_FOLDER)];
}

/**
 * Returns the names of this machine's interfaces, followed by those of this user's proxies.
 *
 * @throws {UapiError} As `listInterfaces`.
 */
export async function listTunnels(): Promise<string[]> {
  const folder = ownProxyFolder();
  const proxies = folder === undefined ? [] : await answering(folder);
  const interfaces = await listInterfaces();
  return [...interfaces, ...proxies.filter((name) => !interfaces.includes(name))];
}

/** The names of the sockets in a folder on which a process listens, even if we have no permission to connect. */
async function answering(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const file of entries(folder)) {
    if (file.length <= SOCKET_SUFFIX.length || !file.endsWith(SOCKET_SUFFIX)) continue;
    if (await isListening(`${folder}/${file}`)) names.push(file.slice(0, -SOCKET_SUFFIX.length));
  }
  return names;
}

async function isListening(path: string): Promise<boolean> {
  try {
    const connection = await connectAt(path);
    connection?.close();
    return connection !== null;
  } catch (error) {
    if (error instanceof UapiError) return true;
    throw error;
  }
}

async function* entries(directory: string): AsyncGenerator<string, void> {
  try {
    for await (const entry of Deno.readDir(directory)) yield entry.name;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw toUapiError(error, `listing ${directory}`);
  }
}
