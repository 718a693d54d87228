/**
 * Reports interfaces that come up.
 *
 * @module
 */

import {
  AF_NETLINK,
  Errno,
  IFF_UP,
  IFINFOMSG,
  IFLA_IFNAME,
  NETLINK_ROUTE,
  NLATTR,
  NLMSGHDR,
  RTM_NEWLINK,
  RTMGRP_LINK,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
} from "./constants.ts";
import { closeEventFd, makeEventFd, ringEventFd } from "./eventfd.ts";
import { check, close, errno, libc } from "./libc.ts";

const BUFFER = 65_536;
/** `struct pollfd` (poll.h). */
const POLLFD = { events: 4, size: 8 };
const POLLIN = 1;

/** Not in libc.ts, because this call blocks one of Deno's threads. */
const SYMBOLS = {
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true },
} as const;

/** Names of interfaces; "unknown" if the kernel has lost messages, so that any interface may have come up. */
export type LinksUp = ReadonlySet<string> | "unknown";

/** Watches the network namespace that it was made in. */
export class LinkWatch {
  readonly #library = Deno.dlopen("libc.so.6", SYMBOLS);
  readonly #buffer = new Uint8Array(BUFFER);
  readonly #fd: number;
  readonly #end: number;
  #closed = false;

  /** @throws {SystemError} If the system does not report changes. */
  constructor() {
    const type = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC;
    this.#fd = check(libc().socket(AF_NETLINK, type, NETLINK_ROUTE), "opening a netlink socket");
    const address = new Uint8Array(12);
    const view = new DataView(address.buffer);
    view.setUint16(0, AF_NETLINK, true);
    view.setUint32(8, RTMGRP_LINK, true);
    try {
      check(libc().bind(this.#fd, address, address.length), "listening for interfaces");
      this.#end = makeEventFd();
    } catch (error) {
      close(this.#fd);
      throw error;
    }
  }

  /** Each time interfaces come up. It ends when this is closed, and must be read until then. */
  async *[Symbol.asyncIterator](): AsyncGenerator<LinksUp, void> {
    const set = new Uint8Array(2 * POLLFD.size);
    const view = new DataView(set.buffer);
    [this.#fd, this.#end].forEach((fd, at) => {
      view.setInt32(at * POLLFD.size, fd, true);
      view.setInt16(at * POLLFD.size + POLLFD.events, POLLIN, true);
    });
    while (!this.#closed) {
      // A signal ends it early. Then there is nothing to read, and it is called again.
      await this.#library.symbols.poll(set, 2n, -1);
      const up = this.#closed ? new Set<string>() : this.#read();
      if (up === "unknown" || up.size > 0) yield up;
    }
    // Not before, because a thread was waiting for them.
    close(this.#fd);
    closeEventFd(this.#end);
    this.#library.close();
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
  for (let at = 0; at + NLMSGHDR.size + IFINFOMSG.size <= view.byteLength;) {
    const size = view.getUint32(at + NLMSGHDR.length, true);
    if (size < NLMSGHDR.size + IFINFOMSG.size || at + size > view.byteLength) return;
    const payload = at + NLMSGHDR.size;
    const isUp = view.getUint32(payload + IFINFOMSG.flags, true) & IFF_UP;
    const hasChanged = view.getUint32(payload + IFINFOMSG.change, true) & IFF_UP;
    if (view.getUint16(at + NLMSGHDR.type, true) === RTM_NEWLINK && isUp && hasChanged) {
      const name = nameIn(messages.subarray(payload + IFINFOMSG.size, at + size));
      if (name !== undefined) yield name;
    }
    at += (size + 3) & ~3;
  }
}

function nameIn(attributes: Uint8Array): string | undefined {
  const view = new DataView(attributes.buffer, attributes.byteOffset, attributes.length);
  for (let at = 0; at + NLATTR.size <= view.byteLength;) {
    const length = view.getUint16(at + NLATTR.length, true);
    if (length < NLATTR.size || at + length > view.byteLength) return undefined;
    if (view.getUint16(at + NLATTR.type, true) === IFLA_IFNAME) {
      return new TextDecoder().decode(attributes.subarray(at + NLATTR.size, at + length)).replace(/\0+$/, "");
    }
    at += (length + 3) & ~3;
  }
  return undefined;
}
