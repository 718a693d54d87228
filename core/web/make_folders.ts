/**
 * Makes the folders of a server with their owners.
 *
 * @module
 */

import { Folder } from "../../ffi/linux/folder.ts";
import { listeningProcess } from "../../ffi/linux/peer_credentials.ts";
import { keeperFolder, keeperSocket, webFolder } from "./folders.ts";

/** A value for the setup of a server is invalid. */
export class InitError extends Error {
  /** Distinguishes this kind of error from others. */
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

/** The user without rights, which exists on every Linux. */
const NOBODY: WebUser = { user: 65534, group: 65534 };

/**
 * Makes the missing folders of a server. Needs root.
 *
 * @returns The user that the web process runs as: the owner of its folder.
 */
export async function makeFolders(data: string): Promise<WebUser> {
  const web = webFolder(data);
  const owner = await ownerOf(web);
  if (Deno.uid() !== 0) {
    if (owner) return owner;
    throw new InitError(`only root can make ${web}`, "run it as root: sudo wgd web");
  }
  const own = await systemUser();
  if (owner) {
    const isOutgrown = own !== undefined && owner.user === NOBODY.user &&
      listeningProcess(keeperSocket(data)) === undefined;
    if (!isOutgrown) return owner;
    handOver(web, own);
    return own;
  }
  const chosen = own ?? NOBODY;
  makeForAll(data);
  await Deno.mkdir(keeperFolder(data), { recursive: true, mode: 0o700 });
  await Deno.mkdir(web, { mode: 0o700 });
  await Deno.chown(web, chosen.user, chosen.group);
  return chosen;
}

/** Makes a folder that everybody can enter, regardless of the umask, because the web process is another user. */
function makeForAll(path: string): void {
  const umask = Deno.umask(0o022);
  try {
    Deno.mkdirSync(path, { recursive: true, mode: 0o755 });
  } finally {
    Deno.umask(umask);
  }
}

async function ownerOf(folder: string): Promise<WebUser | undefined> {
  try {
    const { uid, gid } = await Deno.stat(folder);
    return { user: uid!, group: gid! };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return undefined;
  }
}

/** Changes the owner of a folder and its files. The old owner may have made links in it, so links are not followed. */
function handOver(path: string, { user, group }: WebUser): void {
  using folder = Folder.open(path);
  for (const { name } of [...Deno.readDirSync(folder.path)]) {
    using held = folder.hold(name);
    const { isFile, nlink, uid } = held.info;
    if (isFile && nlink === 1 && uid === NOBODY.user) Deno.chownSync(held.path, user, group);
  }
  Deno.chownSync(folder.path, user, group);
}

/** The user `wgd`, if `wgd install --web` or an administrator has made one. */
async function systemUser(): Promise<WebUser | undefined> {
  const passwd = await Deno.readTextFile("/etc/passwd").catch(() => "");
  const numbers = /^wgd:[^:]*:(\d+):(\d+):/m.exec(passwd);
  return numbers ? { user: Number(numbers[1]), group: Number(numbers[2]) } : undefined;
}
