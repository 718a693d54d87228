/**
 * Detects possible changes of what an interface needs: its link, addresses and routes, the routing rules, the nftables
 * firewall, and one file.
 *
 * @module
 */

import {
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
} from "./constants.ts";
import { check, close, cString, errno, libc } from "./libc.ts";
import { listenToNetlink, messagesIn, type NetlinkMessage, numberIn } from "./netlink_messages.ts";
import { Poll } from "./poll.ts";

const BUFFER = 65_536;
const GROUPS = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV4_RULE | RTMGRP_IPV6_IFADDR |
  RTMGRP_IPV6_ROUTE | RTMGRP_IPV6_RULE;
const FILE_EVENTS = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
/** `struct inotify_event` without the name (linux/inotify.h). */
const EVENT = { mask: 4, nameLength: 12, size: 16 };
/** Offset of the interface's number in `struct ifinfomsg` and in `struct ifaddrmsg`. */
const INDEX = 4;
/** Watches in the network namespace and the mount namespace that it was made in. */
export class ChangeWatch implements Disposable {
  readonly #poll = new Poll();
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
      // A signal ends it early. Then there is nothing to read, and it is called again.
      await this.#poll.wait(this.#open.map(({ fd }) => fd), Math.ceil(left));
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
    this.#poll[Symbol.dispose]();
  }

  #listen(protocol: number, groups: number, matters: (bytes: DataView) => boolean): void {
    this.#open.push({ fd: listenToNetlink(protocol, groups), matters });
  }

  #isAboutNetwork(view: DataView): boolean {
    for (const message of messagesIn(view, 0, view.byteLength)) if (this.#matters(view, message)) return true;
    return false;
  }

  /** Routes and addresses of other interfaces are ignored, because on a router they change all the time. */
  #matters(view: DataView, { type, payload, end }: NetlinkMessage): boolean {
    switch (type) {
      case RTM_NEWLINK:
      case RTM_DELLINK:
      case RTM_NEWADDR:
      case RTM_DELADDR:
        return view.getInt32(payload + INDEX, true) === this.#index;
      case RTM_NEWROUTE:
      case RTM_DELROUTE:
        return numberIn(view, payload + RTMSG.size, end, RTA_OIF) === this.#index;
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
