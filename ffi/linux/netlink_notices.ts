/**
 * Notices of the kernel about its network, over netlink.
 *
 * @module
 */

import { Errno, NETLINK_ROUTE } from "./constants.ts";
import { closeEventFd, makeEventFd, ringEventFd } from "./eventfd.ts";
import { close, errno, libc } from "./libc.ts";
import { listenToNetlink } from "./netlink_messages.ts";
import { Poll } from "./poll.ts";

const BUFFER = 65_536;

/** All messages that were waiting; "lost" if some of them were lost because there were too many. */
export type Messages = readonly Uint8Array[] | "lost";

/** Listens in the network namespace that it was made in. */
export class NetlinkNotices {
  readonly #poll = new Poll();
  readonly #buffer = new Uint8Array(BUFFER);
  readonly #fd: number;
  readonly #end: number;
  #closed = false;

  /**
   * Begins to listen.
   *
   * @param groups The kinds of notices (RTMGRP_*).
   * @throws {SystemError} If the system does not report changes.
   */
  constructor(groups: number) {
    this.#fd = listenToNetlink(NETLINK_ROUTE, groups);
    try {
      this.#end = makeEventFd();
    } catch (error) {
      close(this.#fd);
      throw error;
    }
  }

  /** Each time messages arrive. It ends when this is closed, and must be read until then. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Messages, void> {
    while (!this.#closed) {
      // A signal ends it early. Then there is nothing to read, and it is called again.
      await this.#poll.wait([this.#fd, this.#end], -1);
      const messages = this.#closed ? [] : this.#read();
      if (messages === "lost" || messages.length > 0) yield messages;
    }
    // Not before, because a thread was waiting for them.
    close(this.#fd);
    closeEventFd(this.#end);
    this.#poll[Symbol.dispose]();
  }

  /** Ends the iteration. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    ringEventFd(this.#end);
  }

  #read(): Messages {
    const messages: Uint8Array[] = [];
    let lost = false;
    for (;;) {
      const length = libc().read(this.#fd, Deno.UnsafePointer.of(this.#buffer), BigInt(BUFFER));
      if (length > 0) {
        messages.push(this.#buffer.slice(0, Number(length)));
        continue;
      }
      // ENOBUFS: messages were lost because the socket's buffer was full.
      if (length === 0 || errno() !== Errno.ENOBUFS) break;
      lost = true;
    }
    return lost ? "lost" : messages;
  }
}
