/**
 * Reports changes of interfaces, addresses and routes.
 *
 * @module
 */

import { type Arena, ArenaPointer, FreeList } from "./arena.ts";
import { check, close, errno, libc } from "./libc.ts";
import {
  AF_NETLINK,
  Errno,
  IFF_UP,
  IFINFOMSG,
  IFLA_MTU,
  NETLINK_ROUTE,
  NLMSGHDR,
  RTM_DELLINK,
  RTM_NEWLINK,
  RTMGRP_IPV4_IFADDR,
  RTMGRP_IPV4_ROUTE,
  RTMGRP_IPV6_IFADDR,
  RTMGRP_IPV6_ROUTE,
  RTMGRP_LINK,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
} from "./constants.ts";

const BUFFER = 32_768;
/** The maximum number of reads per turn. */
const READS = 64;

/** A change in the network namespace. */
export type NetworkEvent =
  | { readonly kind: "link"; readonly index: number; readonly up: boolean; readonly mtu: number | undefined }
  | { readonly kind: "gone"; readonly index: number }
  /** An address or route changed, or messages were lost. Cached information about them may be wrong. */
  | { readonly kind: "routing" };

/** A socket that reports changes in the network namespace it was opened in. */
export class Netlink {
  /** The buffers are reused, because an interface may be moved many times. */
  static readonly #buffers = new FreeList((arena) => new ArenaPointer(arena, arena.allocate(BUFFER)));

  readonly fd: number;
  /** The buffer for messages. */
  readonly #buffer: ArenaPointer;

  constructor(readonly arena: Arena) {
    this.fd = check(
      libc().socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE),
      "opening a netlink socket",
    );
    this.#buffer = Netlink.#buffers.take(arena);
    const address = new Uint8Array(12);
    const view = new DataView(address.buffer);
    view.setUint16(0, AF_NETLINK, true);
    view.setUint32(
      8,
      RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
      true,
    );
    try {
      check(libc().bind(this.fd, address, address.length), "listening for changes of the network");
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Reads all waiting messages, because a packet may already depend on the last one. The number of reads is bounded,
   * because a routing daemon may cause messages without end.
   */
  *events(): Generator<NetworkEvent> {
    let routing = false;
    for (let reads = 0; reads < READS; reads++) {
      const length = libc().read(this.fd, this.#buffer.value, BigInt(BUFFER));
      if (length < 0) {
        const code = errno();
        // ENOBUFS: the kernel dropped messages; routes may have changed.
        if (code !== Errno.EAGAIN) routing = true;
        if (code !== Errno.ENOBUFS) break;
        continue;
      }
      const end = this.#buffer.at + length;
      for (let at = this.#buffer.at; at + NLMSGHDR.size <= end;) {
        // Read again for each message, because the previous event may have moved the arena.
        const { view } = this.arena;
        const size = view.getUint32(at + NLMSGHDR.length, true);
        if (size < NLMSGHDR.size || at + size > end) break;
        const type = view.getUint16(at + NLMSGHDR.type, true);
        if (type === RTM_NEWLINK || type === RTM_DELLINK) yield this.#link(at, size, type);
        else routing = true;
        at += (size + 3) & ~3;
      }
    }
    if (routing) yield { kind: "routing" };
  }

  close(): void {
    close(this.fd);
    Netlink.#buffers.giveBack(this.arena, this.#buffer);
  }

  #link(at: number, size: number, type: number): NetworkEvent {
    const { view } = this.arena;
    const info = at + NLMSGHDR.size;
    const index = view.getInt32(info + IFINFOMSG.index, true);
    if (type === RTM_DELLINK) return { kind: "gone", index };
    let mtu: number | undefined;
    for (let attribute = info + IFINFOMSG.size; attribute + 4 <= at + size;) {
      const length = view.getUint16(attribute, true);
      if (length < 4) break;
      if (view.getUint16(attribute + 2, true) === IFLA_MTU) mtu = view.getUint32(attribute + 4, true);
      attribute += (length + 3) & ~3;
    }
    return { kind: "link", index, up: (view.getUint32(info + IFINFOMSG.flags, true) & IFF_UP) !== 0, mtu };
  }
}
