/**
 * The sockets of this user's proxies.
 *
 * @module
 */

import { proxySocketFolder, SOCKET_SUFFIX } from "../uapi/socket_path.ts";

/**
 * The folder of this user's proxies.
 *
 * @returns Undefined if the program has no permission to read its user.
 */
export function ownProxyFolder(): string | undefined {
  const questions = [{ name: "sys", kind: "uid" }, { name: "env", variable: "XDG_RUNTIME_DIR" }] as const;
  // A script without these permissions must not be prompted for them, since it may have no proxy.
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
 * @param warn Called with the reason if it cannot be used.
 * @returns Undefined if there is none. Most services and containers have no runtime folder for users.
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
 * Makes a folder that only its owner can use, and checks that it is one.
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
