/**
 * Detects possible changes of what an interface needs: its link, addresses and routes, the routing rules, the nftables
 * firewall, and one file.
 *
 * @module
 */

import {
  AF_NETLINK,
  Errno,
  IN_CLOSE_WRITE,
  IN_CREATE,
  IN_DELETE,
  IN_MOVED_FROM,
  IN_MOVED_TO,
  IN_Q_OVERFLOW,
  NETLINK_NETFILTER,
  NETLINK_ROUTE,
  NF_GROUP_NFTABLES,
  NLMSGHDR,
  RTA_OIF,
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_DELROUTE,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTM_NEWROUTE,
  RTMGRP_IPV4_IFADDR,
  RTMGRP_IPV4_ROUTE,
  RTMGRP_IPV4_RULE,
  RTMGRP_IPV6_IFADDR,
  RTMGRP_IPV6_ROUTE,
  RTMGRP_IPV6_RULE,
  RTMGRP_LINK,
  RTMSG,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
} from "./constants.ts";
import { check, close, cString, errno, libc } from "./libc.ts";

const BUFFER = 65_536;
const GROUPS = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV4_RULE | RTMGRP_IPV6_IFADDR |
  RTMGRP_IPV6_ROUTE | RTMGRP_IPV6_RULE;
const FILE_EVENTS = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
/** `struct inotify_event` without the name (linux/inotify.h). */
const EVENT = { mask: 4, nameLength: 12, size: 16 };
/** Offset of the interface's number in `struct ifinfomsg` and in `struct ifaddrmsg`. */
const INDEX = 4;
/** `struct pollfd` (poll.h). */
const POLLFD = { events: 4, size: 8 };
const POLLIN = 1;

/** Not in libc.ts, because this call blocks one of Deno's threads. */
const SYMBOLS = {
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true },
} as const;

/** Watches in the network namespace and the mount namespace that it was made in. */
export class ChangeWatch implements Disposable {
  readonly #library = Deno.dlopen("libc.so.6", SYMBOLS);
  readonly #buffer = new Uint8Array(BUFFER);
  readonly #open: { readonly fd: number; readonly matters: (bytes: DataView) => boolean }[] = [];
  readonly #index: number;
  readonly #file: string;

  /**
   * @param index The kernel's number of the interface.
   * @param file The file's absolute path.
   * @throws {SystemError} If the system does not report changes.
   */
  constructor(index: number, file: string) {
    this.#index = index;
    const end = file.lastIndexOf("/");
    this.#file = file.slice(end + 1);
    try {
      this.#listen(NETLINK_ROUTE, GROUPS, (view) => this.#isAboutNetwork(view));
      try {
        this.#listen(NETLINK_NETFILTER, NF_GROUP_NFTABLES, () => true);
      } catch {
        // A kernel without nftables reports no changes of it.
      }
      const fd = check(libc().inotify_init1(SOCK_NONBLOCK | SOCK_CLOEXEC), `watching ${file}`);
      this.#open.push({ fd, matters: (view) => this.#isAboutFile(view) });
      check(libc().inotify_add_watch(fd, cString(file.slice(0, end)), FILE_EVENTS), `watching ${file}`);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Waits for a change, at most so many milliseconds. */
  async wait(timeout: number): Promise<void> {
    const start = performance.now();
    for (let left = timeout; left > 0; left = timeout - (performance.now() - start)) {
      const set = new Uint8Array(this.#open.length * POLLFD.size);
      const view = new DataView(set.buffer);
      this.#open.forEach(({ fd }, at) => {
        view.setInt32(at * POLLFD.size, fd, true);
        view.setInt16(at * POLLFD.size + POLLFD.events, POLLIN, true);
      });
      // A signal ends it early. Then there is nothing to read, and it is called again.
      await this.#library.symbols.poll(set, BigInt(this.#open.length), Math.ceil(left));
      if (this.drain()) return;
    }
  }

  /** Reads all waiting messages. @returns Whether one of them is relevant. */
  drain(): boolean {
    let changed = false;
    for (const { fd, matters } of this.#open) {
      for (;;) {
        const pointer = Deno.UnsafePointer.of(this.#buffer);
        const length = libc().read(fd, pointer, BigInt(BUFFER));
        if (length > 0) {
          changed = matters(new DataView(this.#buffer.buffer, 0, length)) || changed;
          continue;
        }
        // ENOBUFS: messages were lost because the socket's buffer was full.
        if (length === 0 || errno() !== Errno.ENOBUFS) break;
        changed = true;
      }
    }
    return changed;
  }

  /** Closes it. No call of `wait` may be pending. */
  [Symbol.dispose](): void {
    for (const { fd } of this.#open.splice(0)) close(fd);
    this.#library.close();
  }

  #listen(protocol: number, groups: number, matters: (bytes: DataView) => boolean): void {
    const type = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC;
    const fd = check(libc().socket(AF_NETLINK, type, protocol), "opening a netlink socket");
    this.#open.push({ fd, matters });
    const address = new Uint8Array(12);
    const view = new DataView(address.buffer);
    view.setUint16(0, AF_NETLINK, true);
    view.setUint32(8, groups, true);
    try {
      check(libc().bind(fd, address, address.length), "listening for changes of the network");
    } catch (error) {
      this.#open.pop();
      close(fd);
      throw error;
    }
  }

  #isAboutNetwork(view: DataView): boolean {
    for (let at = 0; at + NLMSGHDR.size <= view.byteLength;) {
      const size = view.getUint32(at + NLMSGHDR.length, true);
      if (size < NLMSGHDR.size || at + size > view.byteLength) break;
      if (this.#matters(view, at, size)) return true;
      at += (size + 3) & ~3;
    }
    return false;
  }

  /** Routes and addresses of other interfaces are ignored, because on a router they change all the time. */
  #matters(view: DataView, at: number, size: number): boolean {
    const payload = at + NLMSGHDR.size;
    switch (view.getUint16(at + NLMSGHDR.type, true)) {
      case RTM_NEWLINK:
      case RTM_DELLINK:
      case RTM_NEWADDR:
      case RTM_DELADDR:
        return view.getInt32(payload + INDEX, true) === this.#index;
      case RTM_NEWROUTE:
      case RTM_DELROUTE:
        for (let attribute = payload + RTMSG.size; attribute + 8 <= at + size;) {
          const length = view.getUint16(attribute, true);
          if (length < 4) break;
          if (view.getUint16(attribute + 2, true) === RTA_OIF) {
            return view.getInt32(attribute + 4, true) === this.#index;
          }
          attribute += (length + 3) & ~3;
        }
        return false;
      default:
        return true;
    }
  }

  #isAboutFile(view: DataView): boolean {
    for (let at = 0; at + EVENT.size <= view.byteLength;) {
      const end = at + EVENT.size + view.getUint32(at + EVENT.nameLength, true);
      if ((view.getUint32(at + EVENT.mask, true) & IN_Q_OVERFLOW) !== 0) return true;
      const name = new TextDecoder().decode(this.#buffer.subarray(at + EVENT.size, end));
      if (name.replace(/\0+$/, "") === this.#file) return true;
      at = end;
    }
    return false;
  }
}
