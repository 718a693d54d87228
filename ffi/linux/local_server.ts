/**
 * A server at a Unix socket that knows the user at the other end of each connection, which Deno's own listener does not
 * report. Blocking calls run in Deno's thread pool, one for the listener and one for each connection, so this is only
 * for a few connections at a time.
 *
 * @module
 */

import { MSG_NOSIGNAL, SHUT_RDWR, SO_PEERCRED, SOCK_CLOEXEC, SOL_SOCKET, UCRED } from "./constants.ts";
import { check, close, libc } from "./libc.ts";
import { UnixListener } from "./unix_socket.ts";

const SYMBOLS = {
  accept4: { parameters: ["i32", "usize", "usize", "i32"], result: "i32", nonblocking: true },
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize", nonblocking: true },
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize", nonblocking: true },
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
} as const;
const F_SETFL = 4;

type Library = Deno.DynamicLibrary<typeof SYMBOLS>;
type Symbols = Library["symbols"];

let library: Library | undefined;

/** A connection with its user. */
export class LocalConnection {
  readonly #symbols: Symbols;
  readonly #fd: number;

  /** Made by `LocalServer`. */
  constructor(
    symbols: Symbols,
    fd: number,
    /** UID of the user that made it (SO_PEERCRED, unix(7)). */
    readonly user: number,
  ) {
    this.#symbols = symbols;
    this.#fd = fd;
  }

  /** @returns The received bytes; null at the end. */
  async read(into: Uint8Array<ArrayBuffer>): Promise<number | null> {
    const length = Number(await this.#symbols.recv(this.#fd, into, BigInt(into.length), 0));
    return length > 0 ? length : null;
  }

  /** @returns Whether all bytes were written; false if the other end is closed. */
  async write(bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
    for (let sent = 0; sent < bytes.length;) {
      const rest = bytes.subarray(sent);
      const length = Number(await this.#symbols.send(this.#fd, rest, BigInt(rest.length), MSG_NOSIGNAL));
      if (length <= 0) return false;
      sent += length;
    }
    return true;
  }

  /** Makes waiting reads and writes return. */
  end(): void {
    this.#symbols.shutdown(this.#fd, SHUT_RDWR);
  }

  /** Must be called when no read or write waits. */
  close(): void {
    close(this.#fd);
  }
}

/** The server. */
export class LocalServer {
  readonly #listener: UnixListener;
  readonly #symbols: Symbols;
  /** Whether a thread of the pool waits for the listener. */
  #accepting = false;
  #closed = false;
  #released = false;

  private constructor(listener: UnixListener, symbols: Symbols) {
    this.#listener = listener;
    this.#symbols = symbols;
  }

  /**
   * Listens at a path that only one user and root can use.
   *
   * @throws {SystemError} If another process listens there, or the folder cannot be written.
   * @throws {Deno.errors.PermissionDenied} If we may not change the owner of the socket.
   */
  static listen(path: string, user: number, group: number): LocalServer {
    const { symbols } = library ??= Deno.dlopen("libc.so.6", SYMBOLS);
    const listener = UnixListener.open(path);
    try {
      Deno.chownSync(path, user, group);
      // Threads of the pool may block, so the listener is blocking.
      check(symbols.fcntl(listener.fd, F_SETFL, 0), `listening at ${path}`);
    } catch (error) {
      listener.remove();
      listener.close();
      throw error;
    }
    return new LocalServer(listener, symbols);
  }

  /** Waits for the next connection; null once the server has been closed. One call at a time. */
  async accept(): Promise<LocalConnection | null> {
    while (!this.#closed) {
      this.#accepting = true;
      const fd = await this.#symbols.accept4(this.#listener.fd, 0n, 0n, SOCK_CLOEXEC);
      this.#accepting = false;
      if (fd < 0) {
        // errno belongs to the pool's thread and cannot be read. Either the server was closed, or no descriptor is
        // free.
        if (this.#closed) break;
        await new Promise((resolve) => setTimeout(resolve, 100));
        continue;
      }
      const user = peerUser(fd);
      if (user !== undefined && !this.#closed) return new LocalConnection(this.#symbols, fd, user);
      close(fd);
    }
    this.#release();
    return null;
  }

  /** Closes it and removes its socket. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#listener.remove();
    // A descriptor must not be closed while a thread waits for it, because its number could be reused for another file.
    if (this.#accepting) this.#symbols.shutdown(this.#listener.fd, SHUT_RDWR);
    else this.#release();
  }

  #release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#listener.close();
  }
}

function peerUser(fd: number): number | undefined {
  const credentials = new Uint8Array(UCRED.size);
  const length = new Uint32Array([UCRED.size]);
  if (libc().getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, length) !== 0) return undefined;
  return new DataView(credentials.buffer).getUint32(UCRED.uid, true);
}
