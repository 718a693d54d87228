/**
 * A control socket with one connection that is there from the beginning. Others may connect by a name, where there is a
 * folder for one.
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
  /** For who asks. */
  readonly asking: number;
  /** For {@linkcode ControlLine}. */
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
   * @param answering Its end, which it closes.
   * @param named Where others connect; it is closed with this.
   */
  constructor(readonly host: LinuxHost, answering: number, readonly named: ControlSocket | null) {
    this.#fd = answering;
  }

  /** Tells of the connection, and of others. To delete the name does not end the program that is running. */
  watch(events: { waiting(): void }): void {
    events.waiting();
    this.named?.watch({ waiting: () => events.waiting(), deleted() {} });
  }

  /** Whether to tell of others. */
  listen(on: boolean): void {
    this.named?.listen(on);
  }

  /** Takes the connection, and then those of others; null if nobody waits. */
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
