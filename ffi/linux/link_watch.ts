/**
 * Reports interfaces that come up.
 *
 * @module
 */

import {
  Errno,
  IFF_UP,
  IFINFOMSG,
  IFLA_IFNAME,
  NETLINK_ROUTE,
  RTM_NEWLINK,
  RTMGRP_LINK,
} from "./constants.ts";
import { closeEventFd, makeEventFd, ringEventFd } from "./eventfd.ts";
import { close, errno, libc } from "./libc.ts";
import { attributeIn, listenToNetlink, messagesIn } from "./netlink_messages.ts";
import { Poll } from "./poll.ts";

const BUFFER = 65_536;

/** Names of interfaces; "unknown" if the kernel has lost messages, so that any interface may have come up. */
export type LinksUp = ReadonlySet<string> | "unknown";

/** Watches the network namespace that it was made in. */
export class LinkWatch {
  readonly #poll = new Poll();
  readonly #buffer = new Uint8Array(BUFFER);
  readonly #fd: number;
  readonly #end: number;
  #closed = false;

  /** @throws {SystemError} If the system does not report changes. */
  constructor() {
    this.#fd = listenToNetlink(NETLINK_ROUTE, RTMGRP_LINK);
    try {
      this.#end = makeEventFd();
    } catch (error) {
      close(this.#fd);
      throw error;
    }
  }

  /** Each time interfaces come up. It ends when this is closed, and must be read until then. */
  async *[Symbol.asyncIterator](): AsyncGenerator<LinksUp, void> {
    while (!this.#closed) {
      // A signal ends it early. Then there is nothing to read, and it is called again.
      await this.#poll.wait([this.#fd, this.#end], -1);
      const up = this.#closed ? new Set<string>() : this.#read();
      if (up === "unknown" || up.size > 0) yield up;
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

  #read(): LinksUp {
    const up = new Set<string>();
    let lost = false;
    for (;;) {
      const length = libc().read(this.#fd, Deno.UnsafePointer.of(this.#buffer), BigInt(BUFFER));
      if (length > 0) {
        for (const name of namesUp(this.#buffer.subarray(0, length))) up.add(name);
        continue;
      }
      // ENOBUFS: messages were lost because the socket's buffer was full.
      if (length === 0 || errno() !== Errno.ENOBUFS) break;
      lost = true;
    }
    return lost ? "unknown" : up;
  }
}

/** The interfaces that have come up according to netlink messages (rtnetlink(7)). */
export function* namesUp(messages: Uint8Array): Generator<string> {
  const view = new DataView(messages.buffer, messages.byteOffset, messages.length);
  for (const { type, payload, end } of messagesIn(view, 0, view.byteLength)) {
    const attributes = payload + IFINFOMSG.size;
    if (type !== RTM_NEWLINK || attributes > end) continue;
    const isUp = view.getUint32(payload + IFINFOMSG.flags, true) & IFF_UP;
    const hasChanged = view.getUint32(payload + IFINFOMSG.change, true) & IFF_UP;
    const name = isUp && hasChanged ? attributeIn(view, attributes, end, IFLA_IFNAME) : undefined;
    if (name) yield new TextDecoder().decode(name).replace(/\0+$/, "");
  }
}
