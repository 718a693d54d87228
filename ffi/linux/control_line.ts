/**
 * A control socket with one connection that exists from the beginning. It may also have a named socket for other
 * programs.
 *
 * @module
 */

import { SOCK_STREAM } from "./constants.ts";
import { type ControlSocket, ControlStream } from "./control_socket.ts";
import type { LinuxHost } from "./host.ts";
import { close } from "./libc.ts";
import { openPair } from "./unix_pair.ts";
import { UnixStream } from "./unix_socket.ts";

/** The ends of a connection within this process. */
export interface LineEnds {
  /** The client's end. */
  readonly asking: number;
  /** The engine's end, for {@linkcode ControlLine}. */
  readonly answering: number;
}

/** Makes a connection. @throws {SystemError} If there are no descriptors left. */
export function makeLine(): LineEnds {
  const [asking, answering] = openPair(SOCK_STREAM);
  return { asking, answering };
}

/** Answers at one end of a connection. */
export class ControlLine {
  #fd: number | null;

  /**
   * @param answering The engine's end, which it closes.
   * @param named A socket for other programs. It is closed with this.
   */
  constructor(readonly host: LinuxHost, answering: number, readonly named: ControlSocket | null) {
    this.#fd = answering;
  }

  /** Reports the connection and further ones. Deleting the named socket does not end the running program. */
  watch(events: { waiting(): void }): void {
    events.waiting();
    this.named?.watch({ waiting: () => events.waiting(), deleted() {} });
  }

  /** Sets whether further connections are reported. */
  listen(on: boolean): void {
    this.named?.listen(on);
  }

  /** Takes the first connection, then further ones; null if none waits. */
  accept(): ControlStream | null {
    const fd = this.#fd;
    this.#fd = null;
    return fd === null ? this.named?.accept() ?? null : new ControlStream(this.host, new UnixStream(fd));
  }

  close(): void {
    if (this.#fd !== null) close(this.#fd);
    this.#fd = null;
    this.named?.close();
  }
}
