/**
 * Where this user's proxies have their control sockets.
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

/** The control socket of a proxy of ours. @returns Undefined as for `ownProxyFolder`. */
export function proxySocket(name: string): string | undefined {
  const folder = ownProxyFolder();
  return folder && `${folder}/${name}${SOCKET_SUFFIX}`;
}
