/**
 * Reports changes of interfaces, addresses and routes.
 *
 * @module
 */

import { type Arena, ArenaPointer, FreeList } from "./arena.ts";
import {
  Errno,
  IFF_UP,
  IFINFOMSG,
  IFLA_MTU,
  NETLINK_ROUTE,
  RTM_DELLINK,
  RTM_NEWLINK,
  RTMGRP_IPV4_IFADDR,
  RTMGRP_IPV4_ROUTE,
  RTMGRP_IPV6_IFADDR,
  RTMGRP_IPV6_ROUTE,
  RTMGRP_LINK,
} from "./constants.ts";
import { close, errno, libc } from "./libc.ts";
import { listenToNetlink, messagesIn, type NetlinkMessage, numberIn } from "./netlink_messages.ts";

const BUFFER = 32_768;
/** The maximum number of reads per turn. */
const READS = 64;
const GROUPS = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;

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
    this.fd = listenToNetlink(NETLINK_ROUTE, GROUPS);
    this.#buffer = Netlink.#buffers.take(arena);
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
      // All of them first, because an event may move the arena.
      const messages = [...messagesIn(this.arena.view, this.#buffer.at, this.#buffer.at + length)];
      const links = messages.filter(({ type }) => type === RTM_NEWLINK || type === RTM_DELLINK);
      if (links.length < messages.length) routing = true;
      yield* links.map((message) => this.#link(message));
    }
    if (routing) yield { kind: "routing" };
  }

  close(): void {
    close(this.fd);
    Netlink.#buffers.giveBack(this.arena, this.#buffer);
  }

  #link({ type, payload, end }: NetlinkMessage): NetworkEvent {
    const { view } = this.arena;
    const index = view.getInt32(payload + IFINFOMSG.index, true);
    if (type === RTM_DELLINK) return { kind: "gone", index };
    const up = (view.getUint32(payload + IFINFOMSG.flags, true) & IFF_UP) !== 0;
    return { kind: "link", index, up, mtu: numberIn(view, payload + IFINFOMSG.size, end, IFLA_MTU) };
  }
}
