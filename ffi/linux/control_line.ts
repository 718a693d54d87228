/**
 * A control socket with one connection that is there from the beginning, and no name by which others could connect.
 *
 * @module
 */

import { AF_UNIX, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_STREAM } from "./constants.ts";
import { ControlStream } from "./control_socket.ts";
import type { LinuxHost } from "./host.ts";
import { check, close, libc } from "./libc.ts";
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
  const ends = new Int32Array(2);
  const flags = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  check(libc().socketpair(AF_UNIX, flags, 0, new Uint8Array(ends.buffer)), "making a socket pair");
  return { asking: ends[0]!, answering: ends[1]! };
}

/** Answers at one end of a connection. */
export class ControlLine {
  #fd: number | null;

  /** @param answering Its end, which it closes. */
  constructor(readonly host: LinuxHost, answering: number) {
    this.#fd = answering;
  }

  /** Tells of the connection. */
  watch(events: { waiting(): void }): void {
    events.waiting();
  }

  /** Nobody else ever waits. */
  listen(_on: boolean): void {}

  /** Takes the connection; null if it was taken. */
  accept(): ControlStream | null {
    const fd = this.#fd;
    this.#fd = null;
    return fd === null ? null : new ControlStream(this.host, new UnixStream(fd));
  }

  close(): void {
    if (this.#fd !== null) close(this.#fd);
    this.#fd = null;
  }
}
