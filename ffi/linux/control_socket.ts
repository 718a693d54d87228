/**
 * A listening Unix socket whose file is watched. Deleting the file ends the interface.
 *
 * @module
 */

import type { Interest, LinuxHost } from "./host.ts";
import { DeletionWatch } from "./inotify.ts";
import { UnixListener, type UnixStream } from "./unix_socket.ts";

/** Functions for the events of a control socket. */
export interface ControlSocketEvents {
  /** Connections wait to be accepted. */
  waiting(): void;
  /** The file was deleted. */
  deleted(): void;
}

/** A listener and the watch on its file. */
export class ControlSocket {
  #fileDeleted = false;

  private constructor(
    readonly host: LinuxHost,
    readonly listener: UnixListener,
    readonly deletions: DeletionWatch,
  ) {}

  /**
   * Listens at a path that only its owner can use.
   *
   * @throws {SystemError} If another process listens there (EADDRINUSE), or the folder cannot be written or watched. Then
   * nothing is left behind.
   */
  static open(host: LinuxHost, path: string): ControlSocket {
    const listener = UnixListener.open(path);
    try {
      return new ControlSocket(host, listener, new DeletionWatch(path));
    } catch (error) {
      listener.remove();
      listener.close();
      throw error;
    }
  }

  /** Reports its events from now on. */
  watch(events: ControlSocketEvents): void {
    this.host.watch(this.listener.fd, () => events.waiting());
    this.host.watch(this.deletions.fd, () => {
      if (this.#deleted()) events.deleted();
    });
  }

  /** Sets whether waiting connections are reported. */
  listen(on: boolean): void {
    this.host.change(this.listener.fd, on ? "reading" : "nothing");
  }

  /**
   * Takes the next connection, or null when none waits.
   *
   * @throws {SystemError} If the system has no resources for it.
   */
  accept(): ControlStream | null {
    const stream = this.listener.accept();
    return stream && new ControlStream(this.host, stream);
  }

  /** Closes the socket and removes its file. A file that exists after the deletion belongs to another process. */
  close(): void {
    for (const { fd } of [this.listener, this.deletions]) this.host.forget(fd);
    if (!this.#deleted()) this.listener.remove();
    this.listener.close();
    this.deletions.close();
  }

  #deleted(): boolean {
    return this.#fileDeleted ||= this.deletions.deleted();
  }
}

/** A connection to the control socket. It never blocks. */
export class ControlStream {
  #interest: Interest = "nothing";

  constructor(readonly host: LinuxHost, readonly stream: UnixStream) {}

  /** @returns The number of bytes; 0 at the end of the stream; -1 if nothing waits; -2 if the connection is broken. */
  read(into: Uint8Array<ArrayBuffer>): number {
    return this.stream.read(into);
  }

  /** @returns The number of bytes that were written; -1 if it would block; -2 if the connection is broken. */
  write(bytes: Uint8Array<ArrayBuffer>): number {
    return this.stream.write(bytes);
  }

  /** Calls `ready` when it can be read or written, as set by `wait`, and when it is broken. */
  watch(ready: () => void): void {
    this.host.watch(this.stream.fd, ready, this.#interest);
  }

  /** Sets what to wait for. */
  wait(interest: Interest): void {
    if (interest === this.#interest) return;
    this.#interest = interest;
    this.host.change(this.stream.fd, interest);
  }

  close(): void {
    this.host.forget(this.stream.fd);
    this.stream.close();
  }
}
