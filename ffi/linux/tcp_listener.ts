/**
 * A listening TCP socket for another program.
 *
 * @module
 */

import {
  AF_INET,
  AF_INET6,
  Errno,
  SO_REUSEADDR,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from "./constants.ts";
import { check, close, libc } from "./libc.ts";
import { setOption } from "./socket_options.ts";

const BACKLOG = 128;

/**
 * Listens at an address. Programs that are started from now on inherit the socket with the same number. The socket
 * stays in this namespace, even if the program runs in another one.
 *
 * @param address 4 or 16 bytes.
 * @param text The address as the user wrote it, for messages.
 * @returns The descriptor.
 * @throws {SystemError} If the port is in use, or this machine does not have the address.
 */
export function openInheritedListener(address: Uint8Array, port: number, text: string): number {
  const family = address.length === 4 ? AF_INET : AF_INET6;
  const fd = check(libc().socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0), "making a TCP socket");
  try {
    setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    const name = new Uint8Array(family === AF_INET ? 16 : 28);
    const view = new DataView(name.buffer);
    view.setUint16(0, family, true);
    view.setUint16(2, port);
    name.set(address, family === AF_INET ? 4 : 8);
    check(
      libc().bind(fd, name, name.length),
      `listening at ${text}`,
      (code) => code === Errno.EADDRINUSE ? "another program uses this port" : undefined,
    );
    check(libc().listen(fd, BACKLOG), `listening at ${text}`);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

export { close as closeListener };
