/**
 * Listening sockets and connections that never block, over TCP and at Unix sockets.
 *
 * @module
 */

import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  Errno,
  MSG_NOSIGNAL,
  SHUT_WR,
  SO_ERROR,
  SO_LINGER,
  SO_REUSEADDR,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOCKADDR_IN,
  SOCKADDR_IN6,
  SOL_SOCKET,
  SOL_TCP,
  TCP_NODELAY,
} from "./constants.ts";
import { check, close, errno, libc } from "./libc.ts";
import { getOption, setOption } from "./socket_options.ts";
import { SystemError } from "./system_error.ts";
import { unixAddress } from "./unix_socket.ts";

const SYMBOLS = {
  accept4: { parameters: ["i32", "pointer", "pointer", "i32"], result: "i32" },
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "i32" },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
} as const;

/** The kernel takes the smaller of this and net.core.somaxconn, which is 4,096 by default. */
const BACKLOG = 4_096;
const FLAGS = SOCK_NONBLOCK | SOCK_CLOEXEC;

let library: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"] | undefined;

function symbols(): NonNullable<typeof library> {
  return library ??= Deno.dlopen("libc.so.6", SYMBOLS).symbols;
}

/** An end of a TCP connection. */
export interface SocketName {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly port: number;
}

/**
 * Listens at a TCP port. Its connections send small writes at once (TCP_NODELAY is inherited, tcp(7)).
 *
 * @param name Port 0 lets the kernel choose.
 * @returns The descriptor.
 * @throws {SystemError} If the port is in use, or this machine does not have the address.
 */
export function listenTcp({ address, port }: SocketName): number {
  const [family, layout] = address.length === 4 ? [AF_INET, SOCKADDR_IN] : [AF_INET6, SOCKADDR_IN6];
  const name = new Uint8Array(layout.size);
  const view = new DataView(name.buffer);
  view.setUint16(layout.family, family, true);
  view.setUint16(layout.port, port);
  name.set(address, layout.address);
  return listening(family, name, (fd) => {
    setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    setOption(fd, SOL_TCP, TCP_NODELAY, 1);
  });
}

/**
 * Listens at a path. The file's permissions are those of the process's mask.
 *
 * @returns The descriptor.
 * @throws {SystemError} If there is a file at this path.
 */
export function listenUnix(path: string): number {
  return listening(AF_UNIX, unixAddress(path), () => {});
}

function listening(family: number, name: Uint8Array<ArrayBuffer>, prepare: (fd: number) => void): number {
  const fd = check(libc().socket(family, SOCK_STREAM | FLAGS, 0), "making a listening socket");
  try {
    prepare(fd);
    check(libc().bind(fd, name, name.length), "binding a listening socket");
    check(libc().listen(fd, BACKLOG), "listening");
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/**
 * Takes the next connection.
 *
 * @returns Its descriptor; -1 if none waits.
 * @throws {SystemError} If the system has no resources for it. The connection still waits then.
 */
export function acceptStream(listener: number): number {
  for (;;) {
    const fd = symbols().accept4(listener, null, null, FLAGS);
    if (fd >= 0) return fd;
    const code = errno();
    if (code === Errno.EAGAIN) return -1;
    // The program has disconnected (accept(2)).
    if (code !== Errno.EINTR && code !== Errno.ECONNABORTED) {
      throw new SystemError("accepting a connection", code);
    }
  }
}

/** What a call returns that would have to wait. */
export const AGAIN: number = -Errno.EAGAIN;

/** @returns Bytes received; 0 at the end of the stream; `AGAIN` if nothing has arrived; another negative errno if it failed. */
export function receiveStream(fd: number, into: Uint8Array<ArrayBuffer>): number {
  for (;;) {
    const length = symbols().recv(fd, into, BigInt(into.length), 0);
    if (length >= 0) return length;
    const code = errno();
    if (code !== Errno.EINTR) return -code;
  }
}

/** @returns Bytes sent; `AGAIN` if there is no room; another negative errno if it failed. */
export function sendStream(fd: number, bytes: Uint8Array<ArrayBuffer>): number {
  for (;;) {
    const length = symbols().send(fd, bytes, BigInt(bytes.length), MSG_NOSIGNAL);
    if (length >= 0) return length;
    const code = errno();
    if (code !== Errno.EINTR) return -code;
  }
}

/** Ends the outgoing stream. Does nothing if the other end has disconnected. */
export function endStream(fd: number): void {
  symbols().shutdown(fd, SHUT_WR);
}

/** @returns The negative errno with which the connection has failed, reported once; 0 if it has not (SO_ERROR). */
export function failureOf(fd: number): number {
  return -getOption(fd, SOL_SOCKET, SO_ERROR);
}

/** Lets closing the socket reset the connection (SO_LINGER, socket(7)). */
export function breakOffStream(fd: number): void {
  libc().setsockopt(fd, SOL_SOCKET, SO_LINGER, new Int32Array([1, 0]), 8);
}

/** Our end; null if it is not TCP. */
export function localName(fd: number): SocketName | null {
  return readName(libc().getsockname, fd);
}

/** The other end; null if it is not TCP or has disconnected. */
export function remoteName(fd: number): SocketName | null {
  return readName(symbols().getpeername, fd);
}

function readName(
  call: (fd: number, name: Uint8Array<ArrayBuffer>, length: Uint32Array<ArrayBuffer>) => number,
  fd: number,
): SocketName | null {
  const name = new Uint8Array(SOCKADDR_IN6.size);
  if (call(fd, name, new Uint32Array([name.length])) !== 0) return null;
  const view = new DataView(name.buffer);
  const family = view.getUint16(0, true);
  if (family !== AF_INET && family !== AF_INET6) return null;
  const [layout, length] = family === AF_INET ? [SOCKADDR_IN, 4] : [SOCKADDR_IN6, 16];
  return {
    address: name.slice(layout.address, layout.address + length),
    port: view.getUint16(layout.port),
  };
}

export { close as closeStream };
