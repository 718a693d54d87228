/**
 * The paths of control sockets, which all userspace implementations on Linux share.
 *
 * @module
 */

/** The folder of control sockets. */
export const SOCKET_FOLDER = "/var/run/wireguard";
/** What follows the interface's name in the name of a control socket. */
export const SOCKET_SUFFIX = ".sock";

/** An interface's control socket. */
export function socketPath(interfaceName: string): string {
  return `${SOCKET_FOLDER}/${interfaceName}${SOCKET_SUFFIX}`;
}
