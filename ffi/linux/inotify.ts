/**
 * Notices when a file is deleted.
 *
 * @module
 */

import { check, close, cString, libc } from "./libc.ts";
import { IN_DELETE, IN_MOVED_FROM, SOCK_CLOEXEC, SOCK_NONBLOCK } from "./constants.ts";

/** sizeof(struct inotify_event) without the name (linux/inotify.h). */
const EVENT_HEADER = 16;

/**
 * Watches the folder of one file. The folder, not the file: a socket that is open keeps its inode, so the file itself
 * would only report a changed link count, as a chmod does.
 */
export class DeletionWatch {
  readonly fd: number;
  readonly #name: string;
  readonly #buffer = new Uint8Array(8_192);

  /** @param path Absolute. */
  constructor(path: string) {
    const slash = path.lastIndexOf("/");
    this.#name = path.slice(slash + 1);
    this.fd = check(libc().inotify_init1(SOCK_NONBLOCK | SOCK_CLOEXEC), "watching for deletions");
    check(
      libc().inotify_add_watch(this.fd, cString(path.slice(0, slash)), IN_DELETE | IN_MOVED_FROM),
      `watching ${path}`,
    );
  }

  /** Reads what waits. @returns Whether the file was deleted or moved away. */
  deleted(): boolean {
    let deleted = false;
    for (;;) {
      const length = libc().read(this.fd, Deno.UnsafePointer.of(this.#buffer), BigInt(this.#buffer.length));
      if (length <= 0) return deleted;
      const view = new DataView(this.#buffer.buffer);
      for (let at = 0; at + EVENT_HEADER <= length;) {
        const size = view.getUint32(at + 12, true);
        const name = new TextDecoder().decode(
          this.#buffer.subarray(at + EVENT_HEADER, at + EVENT_HEADER + size),
        );
        if (name.replace(/\0+$/, "") === this.#name) deleted = true;
        at += EVENT_HEADER + size;
      }
    }
  }

  close(): void {
    close(this.fd);
  }
}
