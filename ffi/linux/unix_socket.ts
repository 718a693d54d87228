/**
 * A Unix stream listener that never blocks.
 *
 * @module
 */

import { machineAddress } from "./arena.ts";
import { SystemError } from "./system_error.ts";
import { check, close, cString, errno, libc } from "./libc.ts";
import { AF_UNIX, Errno, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from "./constants.ts";

const BACKLOG = 128;
/** sizeof(sun_path) in linux/un.h, the final zero included. */
const MAX_PATH = 108;

/** A listening socket at a path. */
export class UnixListener {
  private constructor(readonly fd: number, readonly path: string) {}

  /**
   * Listens at a path that only its owner can use. A socket without a listener is replaced.
   *
   * @throws {SystemError} If another process listens there (EADDRINUSE), or the folder cannot be written.
   */
  static open(path: string): UnixListener {
    const address = unixAddress(path);
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o755 });
    if (isAlive(path, address)) {
      throw new SystemError(`listening at ${path}`, Errno.EADDRINUSE, "another process runs this interface");
    }
    removeFile(path);
    const fd = check(
      libc().socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
      "making a Unix socket",
    );
    try {
      // The mask, not a later chmod: between bind and chmod anyone could connect.
      const mask = libc().umask(0o177);
      const bound = libc().bind(fd, address, address.length);
      const code = bound < 0 ? errno() : 0;
      libc().umask(mask);
      if (code !== 0) throw new SystemError(`binding ${path}`, code);
      try {
        check(libc().listen(fd, BACKLOG), `listening at ${path}`);
      } catch (error) {
        removeFile(path);
        throw error;
      }
      return new UnixListener(fd, path);
    } catch (error) {
      close(fd);
      throw error;
    }
  }

  /**
   * Takes the next connection, or null if none waits.
   *
   * @throws {SystemError} If the system has no resources for it (EMFILE, ENFILE, ENOBUFS, ENOMEM). It still waits then.
   */
  accept(): UnixStream | null {
    const fd = libc().accept4(this.fd, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) return new UnixStream(fd);
    const code = errno();
    if (code === Errno.EAGAIN || code === Errno.EINTR || code === Errno.ECONNABORTED) return null;
    throw new SystemError("accepting a connection at the control socket", code);
  }

  /** Removes the socket's file. */
  remove(): void {
    removeFile(this.path);
  }

  /** Closes the socket; its file stays. */
  close(): void {
    close(this.fd);
  }
}

/** A connection that never blocks. */
export class UnixStream {
  constructor(readonly fd: number) {}

  /** @returns The number of bytes; 0 at the end of the stream; -1 if nothing waits; -2 if the connection is broken. */
  read(into: Uint8Array<ArrayBuffer>): number {
    const length = libc().read(this.fd, Deno.UnsafePointer.of(into), BigInt(into.length));
    return length >= 0 ? length : wouldBlock();
  }

  /** @returns The number of bytes that were written; -1 if it would block; -2 if the connection is broken. */
  write(bytes: Uint8Array<ArrayBuffer>): number {
    const length = libc().send(this.fd, machineAddress(bytes), bytes.length, MSG_NOSIGNAL);
    return length >= 0 ? length : wouldBlock();
  }

  close(): void {
    close(this.fd);
  }
}

function wouldBlock(): -1 | -2 {
  const code = errno();
  return code === Errno.EAGAIN || code === Errno.EINTR ? -1 : -2;
}

function removeFile(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** @throws {SystemError} If it is unknown. The socket of a running process must not be replaced. */
function isAlive(path: string, address: Uint8Array<ArrayBuffer>): boolean {
  const fd = check(
    libc().socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
    "making a Unix socket",
  );
  const code = libc().connect(fd, address, address.length) < 0 ? errno() : 0;
  close(fd);
  switch (code) {
    case 0:
    // The backlog is full.
    case Errno.EAGAIN:
      return true;
    case Errno.ECONNREFUSED:
    case Errno.ENOENT:
      return false;
    default:
      throw new SystemError(`looking who listens at ${path}`, code);
  }
}

/** A `struct sockaddr_un`. */
export function unixAddress(path: string): Uint8Array<ArrayBuffer> {
  const name = cString(path);
  if (name.length > MAX_PATH) throw new RangeError(`a Unix socket's path has at most 107 bytes: "${path}"`);
  const address = new Uint8Array(2 + name.length);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(name, 2);
  return address;
}
