/**
 * Sockets that report changes over netlink (rtnetlink(7)), and the messages that they receive. What does not follow the
 * format is ignored. Answers to requests are read by core/client/netlink.ts, where it is an error.
 *
 * @module
 */

import { AF_NETLINK, NLATTR, NLMSGHDR, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW } from "./constants.ts";
import { check, close, libc } from "./libc.ts";

/** `struct sockaddr_nl` (linux/netlink.h). */
const ADDRESS = { family: 0, groups: 8, size: 12 };

/** Where a message is in its buffer. */
export interface NetlinkMessage {
  /** `RTM_…` */
  readonly type: number;
  /** Where the bytes after the netlink header begin. */
  readonly payload: number;
  /** Where they end. */
  readonly end: number;
}

/**
 * A socket in the current network namespace. Its reads do not block.
 *
 * @param protocol `NETLINK_…`
 * @param groups The groups to listen to, as bits.
 * @throws {SystemError} If the kernel does not have them.
 */
export function listenToNetlink(protocol: number, groups: number): number {
  const type = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const fd = check(libc().socket(AF_NETLINK, type, protocol), "opening a netlink socket");
  const address = new Uint8Array(ADDRESS.size);
  const view = new DataView(address.buffer);
  view.setUint16(ADDRESS.family, AF_NETLINK, true);
  view.setUint32(ADDRESS.groups, groups, true);
  try {
    check(libc().bind(fd, address, address.length), "listening for changes of the network");
  } catch (error) {
    close(fd);
    throw error;
  }
  return fd;
}

/** The messages of one read. The bytes must stay where they are until the last one. */
export function* messagesIn(view: DataView, from: number, end: number): Generator<NetlinkMessage, void> {
  for (let at = from; at + NLMSGHDR.size <= end;) {
    const size = view.getUint32(at + NLMSGHDR.length, true);
    if (size < NLMSGHDR.size || at + size > end) return;
    yield { type: view.getUint16(at + NLMSGHDR.type, true), payload: at + NLMSGHDR.size, end: at + size };
    at += aligned(size);
  }
}

/**
 * The value of a message's first attribute of a type.
 *
 * @param from Where the attributes begin.
 * @param end Where the message ends.
 */
export function attributeIn(view: DataView, from: number, end: number, type: number): DataView | undefined {
  for (let at = from; at + NLATTR.size <= end;) {
    const length = view.getUint16(at + NLATTR.length, true);
    if (length < NLATTR.size || at + length > end) return undefined;
    if (view.getUint16(at + NLATTR.type, true) === type) {
      return new DataView(view.buffer, view.byteOffset + at + NLATTR.size, length - NLATTR.size);
    }
    at += aligned(length);
  }
  return undefined;
}

/** The value of an attribute of 32 bits; `undefined` also if it has another length. */
export function numberIn(view: DataView, from: number, end: number, type: number): number | undefined {
  const value = attributeIn(view, from, end, type);
  return value?.byteLength === 4 ? value.getUint32(0, true) : undefined;
}

/** Messages and attributes start at multiples of four bytes. */
function aligned(length: number): number {
  return (length + 3) & ~3;
}
