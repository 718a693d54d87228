/**
 * A listening Unix socket whose file is watched: deleting the file is how a user ends the program behind it.
 *
 * @module
 */

import { DeletionWatch } from "./inotify.ts";
import { UnixListener, type UnixStream } from "./unix_socket.ts";

/** A listener and the watch on its file. */
export class ControlSocket {
  #fileDeleted = false;

  private constructor(readonly listener: UnixListener, readonly watch: DeletionWatch) {}

  /**
   * Listens at a path that only its owner can use.
   *
   * @throws {SystemError} If another process listens there (EADDRINUSE), or the folder cannot be written or watched. Then
   * nothing is left behind.
   */
  static open(path: string): ControlSocket {
    const listener = UnixListener.open(path);
    try {
      return new ControlSocket(listener, new DeletionWatch(path));
    } catch (error) {
      listener.remove();
      listener.close();
      throw error;
    }
  }

  /** Takes the next connection, or null when none waits. @throws {SystemError} If there is no room for it. */
  accept(): UnixStream | null {
    return this.listener.accept();
  }

  /** Reads what the watch has to tell. @returns Whether the file was deleted. */
  fileDeleted(): boolean {
    return this.#fileDeleted ||= this.watch.deleted();
  }

  /** Closes the socket and removes its file. A file that is there after a deletion is another process's. */
  close(): void {
    if (!this.fileDeleted()) this.listener.remove();
    this.listener.close();
    this.watch.close();
  }
}
