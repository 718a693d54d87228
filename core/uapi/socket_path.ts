/**
 * The paths of control sockets, which all userspace implementations on Linux share.
 *
 * @module
 */

/** The folder of control sockets. */
export const SOCKET_FOLDER = "/var/run/wireguard";
/** The suffix of a control socket's name. */
export const SOCKET_SUFFIX = ".sock";

/**
 * The folder of the control sockets of root's proxies. It differs from that of interfaces, which may have the same
 * names.
 */
const ROOT_PROXY_FOLDER = "/run/wgd-proxy";

/** What the paths of control sockets depend on. */
export interface SocketOwner {
  readonly uid: number;
  /** `XDG_RUNTIME_DIR`, a folder that the system makes for each user who is logged in. */
  readonly runtimeFolder: string | undefined;
}

/** The folder of the control sockets of a user's proxies. */
export function proxySocketFolder({ uid, runtimeFolder }: SocketOwner): string {
  return uid === 0 ? ROOT_PROXY_FOLDER : `${runtimeFolder || `/run/user/${uid}`}/wgd`;
}

/** An interface's control socket. */
export function socketPath(interfaceName: string): string {
  return `${SOCKET_FOLDER}/${interfaceName}${SOCKET_SUFFIX}`;
}
