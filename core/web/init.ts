/**
 * Sets up everything that a server needs before it can start.
 *
 * @module
 */

import { databaseOpener, databasePlace, rememberPlace } from "./database.ts";
import { ownSubnets, readServerEndpoint } from "./endpoint.ts";
import { changeTogether, interfacesIn } from "./interfaces.ts";
import { KeeperFiles } from "./keeper/files.ts";
import { keeperFolder } from "./folders.ts";
import { InitError, makeFolders } from "./make_folders.ts";
import type { WantedNetwork } from "./networks.ts";
import { begin, needsSetup } from "./setup.ts";
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
export interface FirstParts {
  readonly network: WantedNetwork;
  readonly admin: { readonly name: string; readonly passwordHash: string };
}

/**
 * Makes folders, keys, the first network and the first administrator. If this fails, only empty folders are left. The
 * keeper brings the interface up when it starts.
 *
 * @param database The URL of the database, if it is not a file in the folder. It is stored for later commands.
 * @throws {InitError} If a value is invalid, or the server is already set up.
 */
export async function init(
  data: string,
  { network, admin }: FirstParts,
  now: number,
  database?: string,
): Promise<void> {
  if (!isInterfaceName(network.name)) {
    throw new InitError(`not the name of an interface: "${network.name}"`);
  }
  readServerEndpoint(network.endpoint);
  ownSubnets(network.addresses);
  await makeFolders(data);
  await using store = await openStore(data, database);
  const interfaces = interfacesIn(new KeeperFiles(keeperFolder(data)));
  await changeTogether(store, interfaces, async (records) => {
    if ((await records.networks.list()).length > 0 || !await needsSetup(records)) {
      throw new InitError(`${data} is already set up`, "start it: wgd web");
    }
    await begin(records, { interfaces, network, admin }, { actor: "system", address: null }, now);
    await rememberPlace(data, await databasePlace(data, database));
  });
}
