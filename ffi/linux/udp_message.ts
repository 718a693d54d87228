/**
 * The message of a datagram: `struct msghdr` with an address and control messages.
 *
 * @module
 */

import { type Arena, ArenaPointer, FreeList, setPointer } from "./arena.ts";
import {
  AF_INET,
  AF_INET6,
  CMSGHDR,
  IOVEC,
  IP_PKTINFO,
  IP_TOS,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_PKTINFO,
  IPV6_TCLASS,
  MSGHDR,
  SOL_UDP,
  UDP_GRO,
  UDP_SEGMENT,
} from "./constants.ts";

/** Space for the control messages of one datagram. Three are requested, of at most 40 bytes each. */
export const CONTROL = 160;
/** Space for a `sockaddr_in6`. */
export const NAME = 32;

/** 127.0.0.1 as a number in memory. */
const LOCALHOST = 0x0100007f;

/** The metadata of a received message. */
export interface Received {
  /** The sender and the local address, as an endpoint (udp_socket.ts). */
  readonly from: Uint32Array;
  /** Bytes of each datagram but the last. */
  segment: number;
  /** TOS or traffic class. */
  tos: number;
}

/** A `struct msghdr` with its one iovec, name and control room, laid out once. */
export class UdpMessage {
  /** Structures are reused, because an interface may go up and down for years. */
  static readonly #free = new FreeList((arena) => new UdpMessage(arena));

  readonly header: number;
  readonly pointer: ArenaPointer;
  readonly name: number;
  readonly control: number;
  readonly #iovec: number;

  static take(arena: Arena): UdpMessage {
    return UdpMessage.#free.take(arena);
  }

  private constructor(readonly arena: Arena) {
    this.header = arena.allocate(MSGHDR.size);
    this.pointer = new ArenaPointer(arena, this.header);
    this.#iovec = arena.allocate(IOVEC.size);
    this.name = arena.allocate(NAME);
    this.control = arena.allocate(CONTROL);
    arena.bytes.fill(0, this.header, this.header + MSGHDR.size);
    arena.bytes.fill(0, this.#iovec, this.#iovec + IOVEC.size);
    arena.view.setUint32(this.header + MSGHDR.iovLength, 1, true);
  }

  giveBack(): void {
    UdpMessage.#free.giveBack(this.arena, this);
  }

  /** Sets the address of the message's bytes. Addresses are written each time because the arena may have moved. */
  prepare(at: number, length: number, nameLength: number, controlLength: number): void {
    const { arena, header } = this;
    const { view, base } = arena;
    setPointer(view, header + MSGHDR.name, base + this.name);
    view.setUint32(header + MSGHDR.nameLength, nameLength, true);
    setPointer(view, header + MSGHDR.iov, base + this.#iovec);
    setPointer(view, header + MSGHDR.control, controlLength === 0 ? 0 : base + this.control);
    view.setUint32(header + MSGHDR.controlLength, controlLength, true);
    setPointer(view, this.#iovec + IOVEC.base, base + at);
    view.setUint32(this.#iovec + IOVEC.length, length, true);
  }

  /** Reads the sender. `readControl` adds the rest. */
  readName(family: 4 | 6, from: Uint32Array): void {
    const { arena: { view }, name } = this;
    from[0] = family;
    from[1] = view.getUint16(name + 2);
    if (family === 4) {
      from[2] = view.getUint32(name + 4, true);
      from[3] =
        from[4] =
        from[5] =
        from[6] =
          0;
    } else {
      for (let i = 0; i < 4; i++) from[2 + i] = view.getUint32(name + 8 + 4 * i, true);
      from[6] = view.getUint32(name + 24, true);
    }
    from.fill(0, 7);
  }

  /** Reads PKTINFO, TOS and the GRO size. Other control messages are ignored. */
  readControl(received: Received): void {
    const { arena: { view }, control, header } = this;
    const { from } = received;
    const end = control + Math.min(view.getUint32(header + MSGHDR.controlLength, true), CONTROL);
    for (let at = control; at + CMSGHDR.size <= end;) {
      const length = view.getUint32(at + CMSGHDR.length, true);
      if (length < CMSGHDR.size || at + length > end) return;
      const level = view.getInt32(at + CMSGHDR.level, true);
      const type = view.getInt32(at + CMSGHDR.type, true);
      const data = at + CMSGHDR.size;
      const size = length - CMSGHDR.size;
      if (level === SOL_UDP && type === UDP_GRO && size >= 4) {
        const segment = view.getInt32(data, true);
        if (segment > 0) received.segment = segment;
      } else if (level === IPPROTO_IP && type === IP_PKTINFO && size >= 12) {
        from[7] = view.getUint32(data, true);
        // ipi_spec_dst, the address to answer from; ipi_addr could be a broadcast address.
        from[8] = view.getUint32(data + 4, true);
      } else if (level === IPPROTO_IPV6 && type === IPV6_PKTINFO && size >= 20) {
        for (let i = 0; i < 4; i++) from[8 + i] = view.getUint32(data + 4 * i, true);
        from[7] = view.getUint32(data + 16, true);
      } else if (level === IPPROTO_IP && type === IP_TOS && size >= 1) {
        received.tos = view.getUint8(data);
      } else if (level === IPPROTO_IPV6 && type === IPV6_TCLASS && size >= 4) {
        received.tos = view.getInt32(data, true) & 0xff;
      }
      at += (length + CMSGHDR.align - 1) & -CMSGHDR.align;
    }
  }

  /** Writes the destination. @returns Its number of bytes. */
  writeName(family: 4 | 6, to: Uint32Array): number {
    const { arena: { view }, name } = this;
    view.setUint16(name, family === 4 ? AF_INET : AF_INET6, true);
    view.setUint16(name + 2, to[1]!);
    if (family === 4) {
      view.setUint32(name + 4, to[2]!, true);
      return 16;
    }
    view.setUint32(name + 4, 0, true);
    for (let i = 0; i < 4; i++) view.setUint32(name + 8 + 4 * i, to[2 + i]!, true);
    view.setUint32(name + 24, to[6]!, true);
    return 28;
  }

  /** Writes the source address, the TOS and the length of segments, if present. @returns The number of bytes. */
  writeControl(family: 4 | 6, to: Uint32Array, segment: number, tos: number): number {
    const { arena: { view }, control } = this;
    let at = control;
    if (hasSource(to)) {
      if (family === 4) {
        // The interface is not set. Only the source address must stay the same; the route decides the rest.
        at = this.#begin(at, IPPROTO_IP, IP_PKTINFO, 12);
        view.setUint32(at - 16, 0, true);
        view.setUint32(at - 12, to[8]!, true);
        view.setUint32(at - 8, 0, true);
      } else {
        at = this.#begin(at, IPPROTO_IPV6, IPV6_PKTINFO, 20);
        for (let i = 0; i < 4; i++) view.setUint32(at - 24 + 4 * i, to[8 + i]!, true);
        // A link-local address is only valid with its interface.
        view.setUint32(at - 8, to[6] !== 0 ? to[7]! : 0, true);
      }
    }
    if (tos !== 0) {
      at = family === 4
        ? this.#begin(at, IPPROTO_IP, IP_TOS, 4)
        : this.#begin(at, IPPROTO_IPV6, IPV6_TCLASS, 4);
      view.setInt32(at - 8, tos, true);
    }
    if (segment !== 0) {
      at = this.#begin(at, SOL_UDP, UDP_SEGMENT, 2);
      view.setUint16(at - 8, segment, true);
    }
    return at - control;
  }

  /** Writes what the kernel adds to a datagram received over IPv4: its local address and its TOS. */
  writeReceived(): void {
    const { arena: { view }, control, header } = this;
    let at = this.#begin(control, IPPROTO_IP, IP_PKTINFO, 12);
    view.setUint32(at - 12, LOCALHOST, true);
    at = this.#begin(at, IPPROTO_IP, IP_TOS, 1);
    view.setUint32(header + MSGHDR.controlLength, at - control, true);
  }

  /** Writes a control message's header. @returns The end of its padded data. */
  #begin(at: number, level: number, type: number, size: number): number {
    const { view } = this.arena;
    view.setUint32(at + CMSGHDR.length, CMSGHDR.size + size, true);
    view.setUint32(at + CMSGHDR.length + 4, 0, true);
    view.setInt32(at + CMSGHDR.level, level, true);
    view.setInt32(at + CMSGHDR.type, type, true);
    return at + CMSGHDR.size + ((size + CMSGHDR.align - 1) & -CMSGHDR.align);
  }
}

/** Whether an endpoint has a source address. */
export function hasSource(words: Uint32Array): boolean {
  return (words[8]! | words[9]! | words[10]! | words[11]!) !== 0;
}
