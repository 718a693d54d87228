/**
 * Everything that has to be there before the server can start.
 *
 * @module
 */

import { openingAs } from "../../ffi/linux/privileges.ts";
import { ownSubnets, readServerEndpoint } from "./endpoint.ts";
import { KeeperFiles } from "./keeper/files.ts";
import { databaseFile, keeperFolder, webFolder } from "./folders.ts";
import { openSqlite } from "./store/sqlite.ts";
import { Store } from "./store/store.ts";
import { isInterfaceName } from "../config/interface_name.ts";

/** What a server is set up with cannot be used. */
export class InitError extends Error {
  /** Tells this kind of error from others. */
  override name = "InitError";

  /** @param hint What to do about it. */
  constructor(message: string, readonly hint?: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** The user that the web process runs as. */
export interface WebUser {
  readonly user: number;
  readonly group: number;
}

/** The user who can do nothing, of every Linux. */
const NOBODY: WebUser = { user: 65534, group: 65534 };

/**
 * Makes the folders of a server, if they are not there. Needs root.
 *
 * @returns The user that the web process runs as: the owner of its folder.
 */
export async function makeFolders(data: string): Promise<WebUser> {
  const web = webFolder(data);
  try {
    const { uid, gid } = await Deno.stat(web);
    return { user: uid!, group: gid! };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  if (Deno.uid() !== 0) throw new InitError(`only root can make ${web}`, "run it as root: sudo wgd web");
  const chosen = await systemUser() ?? NOBODY;
  await Deno.mkdir(data, { recursive: true, mode: 0o755 });
  await Deno.mkdir(keeperFolder(data), { recursive: true, mode: 0o700 });
  await Deno.mkdir(web, { mode: 0o700 });
  await Deno.chown(web, chosen.user, chosen.group);
  return chosen;
}

/** The user `wgd`, if an administrator has made one. */
async function systemUser(): Promise<WebUser | undefined> {
  const passwd = await Deno.readTextFile("/etc/passwd").catch(() => "");
  const numbers = /^wgd:[^:]*:(\d+):(\d+):/m.exec(passwd);
  return numbers ? { user: Number(numbers[1]), group: Number(numbers[2]) } : undefined;
}

/**
 * Opens the store of a server, as the user of the web process: that owns the folder, and may have laid links in it to
 * files of root's.
 */
export async function openStore(data: string): Promise<Store> {
  const file = databaseFile(data);
  if (Deno.uid() !== 0) return await Store.open(openSqlite(file));
  const { uid, gid } = await Deno.stat(webFolder(data));
  return await Store.open(openingAs(uid!, gid!, () => openSqlite(file)));
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
 * Makes folders, keys, the first network and the first administrator. The interface comes up with the keeper.
 *
 * @throws {InitError} If something cannot be used, or the server has been set up before.
 */
export async function init(data: string, { network, admin }: Beginning, now: number): Promise<void> {
  const { name, addresses, endpoint: wanted, dns = [] } = network;
  if (!isInterfaceName(name)) throw new InitError(`not the name of an interface: "${name}"`);
  const { endpoint, port } = readServerEndpoint(wanted);
  const allowedIps = ownSubnets(addresses);
  await makeFolders(data);
  await using store = await openStore(data);
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
  } catch (error) {
    await files.remove(name);
    throw error;
  }
}
