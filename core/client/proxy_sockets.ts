/**
 * Where this user's proxies have their sockets.
 *
 * @module
 */

import { proxySocketFolder, SOCKET_SUFFIX } from "../uapi/socket_path.ts";

/**
 * The folder of this user's proxies.
 *
 * @returns Undefined if this program may not know who its user is.
 */
export function ownProxyFolder(): string | undefined {
  const questions = [{ name: "sys", kind: "uid" }, { name: "env", variable: "XDG_RUNTIME_DIR" }] as const;
  // A script without these permissions must not be asked for them because of a proxy that it does not have.
  if (questions.some((question) => Deno.permissions.querySync(question).state !== "granted")) {
    return undefined;
  }
  const uid = Deno.uid();
  if (uid === null) return undefined;
  return proxySocketFolder({ uid, runtimeFolder: Deno.env.get("XDG_RUNTIME_DIR") });
}

/** The control socket of a proxy in that folder. */
export function proxySocket(folder: string, name: string): string {
  return `${folder}/${name}${SOCKET_SUFFIX}`;
}

/**
 * The folder of this user's proxies, which is made if it is missing.
 *
 * @param warn Told why it cannot be used.
 * @returns Undefined where there is none: most services and containers have no folder for users who are logged in.
 */
export function preparedProxyFolder(warn: (line: string) => void): string | undefined {
  const folder = ownProxyFolder();
  if (folder === undefined) return undefined;
  try {
    makeControlFolder(folder);
    return folder;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    warn(`Warning: no other program can reach this tunnel: ${(error as Error).message}`);
    return undefined;
  }
}

/**
 * Makes a folder for the owner alone, and makes sure that it is that.
 *
 * @throws {Deno.errors.PermissionDenied} If others may use it, or we may not make it.
 * @throws {Deno.errors.NotFound} If the folder that it would be in does not exist.
 */
export function makeControlFolder(folder: string): void {
  try {
    Deno.mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  const { isDirectory, uid, mode } = Deno.lstatSync(folder);
  if (isDirectory && uid === Deno.uid() && ((mode ?? 0) & 0o077) === 0) return;
  throw new Deno.errors.PermissionDenied(`${folder} is not a folder that only you can use (chmod 700)`);
}
