/**
 * Sets up everything that a server needs before it can start.
 *
 * @module
 */

import { databaseOpener, databasePlace, rememberPlace } from "./database.ts";
import { ownSubnets, readServerEndpoint } from "./endpoint.ts";
import { KeeperFiles } from "./keeper/files.ts";
import { keeperFolder } from "./folders.ts";
import { InitError, makeFolders } from "./make_folders.ts";
import { Store } from "./store/store.ts";
import { isInterfaceName } from "../config/interface_name.ts";

export { InitError } from "./make_folders.ts";

/**
 * Opens the store of a server.
 *
 * @param database The URL of its database from the command line.
 * @throws {DatabaseError} If it does not answer.
 */
export async function openStore(data: string, database?: string): Promise<Store> {
  const open = await databaseOpener(data, await databasePlace(data, database));
  return await Store.open(await open());
}

/** A server's first network and first administrator. */
export interface Beginning {
  readonly network: {
    /** Name of the network and of its interface. */
    readonly name: string;
    readonly addresses: readonly string[];
    /** `host`, or `host:port`. */
    readonly endpoint: string;
    readonly dns?: readonly string[];
  };
  readonly admin: { readonly name: string; readonly passwordHash: string };
}

/**
 * Makes folders, keys, the first network and the first administrator. The keeper brings the interface up when it
 * starts.
 *
 * @param database The URL of the database, if it is not a file in the folder. It is stored for later commands.
 * @throws {InitError} If a value is invalid, or the server is already set up.
 */
export async function init(
  data: string,
  { network, admin }: Beginning,
  now: number,
  database?: string,
): Promise<void> {
  const { name, addresses, endpoint: wanted, dns = [] } = network;
  if (!isInterfaceName(name)) throw new InitError(`not the name of an interface: "${name}"`);
  const { endpoint, port } = readServerEndpoint(wanted);
  const allowedIps = ownSubnets(addresses);
  await makeFolders(data);
  await using store = await openStore(data, database);
  if ((await store.networks.list()).length > 0 || (await store.users.list()).length > 0) {
    throw new InitError(`${data} has been set up already`, "start it: wgd web");
  }
  const files = new KeeperFiles(keeperFolder(data));
  const kept = await files.make({ interface: name, listenPort: port, addresses, mtu: null });
  try {
    await store.networks.add({
      name,
      interface: name,
      addresses,
      endpoint,
      dns,
      allowedIps,
      mtu: null,
      keepalive: null,
      publicKey: kept.publicKey,
      listenPort: port,
    }, now);
    await store.users.add({ ...admin, role: "admin" }, now);
    await rememberPlace(data, await databasePlace(data, database));
  } catch (error) {
    await files.remove(name);
    throw error;
  }
}
