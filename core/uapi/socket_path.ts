/**
 * Where control sockets are: every userspace WireGuard on Linux agrees on it.
 *
 * @module
 */

/** The folder of control sockets. */
export const SOCKET_FOLDER = "/var/run/wireguard";
/** How the name of a control socket ends, behind the interface's. */
export const SOCKET_SUFFIX = ".sock";

/** An interface's control socket. */
export function socketPath(interfaceName: string): string {
  return `${SOCKET_FOLDER}/${interfaceName}${SOCKET_SUFFIX}`;
}
