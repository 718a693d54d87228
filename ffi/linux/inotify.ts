/**
 * Detects that a file is deleted.
 *
 * @module
 */

import { check, close, cString, libc } from "./libc.ts";
import { IN_DELETE, IN_MOVED_FROM, IN_Q_OVERFLOW, SOCK_CLOEXEC, SOCK_NONBLOCK } from "./constants.ts";

/** `struct inotify_event` without the name (linux/inotify.h). */
const EVENT = { mask: 4, nameLength: 12, size: 16 };

/**
 * Watches the folder of one file. It does not watch the file itself, because an open socket keeps its inode, and its
 * deletion would be reported like a chmod, as a change of attributes.
 */
export class DeletionWatch {
  readonly fd: number;
  readonly #path: string;
  readonly #buffer = new Uint8Array(8_192);

  /** @param path Absolute. */
  constructor(path: string) {
    this.#path = path;
    this.fd = check(libc().inotify_init1(SOCK_NONBLOCK | SOCK_CLOEXEC), "watching for deletions");
    const watched = libc().inotify_add_watch(
      this.fd,
      cString(path.slice(0, path.lastIndexOf("/"))),
      IN_DELETE | IN_MOVED_FROM,
    );
    try {
      check(watched, `watching ${path}`);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Reads all waiting events. @returns Whether the file was deleted or moved away. */
  deleted(): boolean {
    let deleted = false;
    for (;;) {
      const length = libc().read(this.fd, Deno.UnsafePointer.of(this.#buffer), BigInt(this.#buffer.length));
      if (length <= 0) return deleted;
      const view = new DataView(this.#buffer.buffer);
      for (let at = 0; at + EVENT.size <= length;) {
        const end = at + EVENT.size + view.getUint32(at + EVENT.nameLength, true);
        const name = new TextDecoder().decode(this.#buffer.subarray(at + EVENT.size, end));
        // After an overflow the kernel may have dropped the event.
        if ((view.getUint32(at + EVENT.mask, true) & IN_Q_OVERFLOW) !== 0) deleted ||= !exists(this.#path);
        else if (this.#path.endsWith(`/${name.replace(/\0+$/, "")}`)) deleted = true;
        at = end;
      }
    }
  }

  close(): void {
    close(this.fd);
  }
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return false;
  }
}
