/**
 * UDP sockets: trains of datagrams (UDP_SEGMENT, UDP_GRO), sticky source addresses (PKTINFO), TOS and marks.
 *
 * An endpoint is twelve 32-bit words: family (4, 6; 0 is none), port, four words of address (bytes in network order),
 * IPv6 scope, then where our own replies come from: interface index and four words of address.
 *
 * @module
 */

import { type Arena, ArenaPointer, FreeList, setPointer } from "./arena.ts";
import { SystemError } from "./system_error.ts";
import { check, close, errno, libc } from "./libc.ts";
import {
  AF_INET,
  AF_INET6,
  CMSGHDR,
  Errno,
  IOVEC,
  IP_MTU_DISCOVER,
  IP_PKTINFO,
  IP_PMTUDISC_DONT,
  IP_RECVTOS,
  IP_TOS,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_MTU_DISCOVER,
  IPV6_PKTINFO,
  IPV6_PMTUDISC_DONT,
  IPV6_RECVPKTINFO,
  IPV6_RECVTCLASS,
  IPV6_TCLASS,
  IPV6_V6ONLY,
  MSGHDR,
  SK_MEMINFO,
  SO_MARK,
  SO_MEMINFO,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
  SOL_UDP,
  UDP_GRO,
  UDP_SEGMENT,
} from "./constants.ts";

/** Room for the control messages of one datagram; three are asked for, of at most 40 bytes each. */
const CONTROL = 160;
/** Room for a `sockaddr_in6`. */
const NAME = 32;
/** Asked for in both directions, so that a train does not fill the buffer; the kernel may give less. */
const BUFFER_BYTES = 7 << 20;

/** Empty datagrams and ICMP errors passed over per call before epoll has to ask again. */
const RECEIVE_ATTEMPTS = 16;

/** Which features a socket may use; each can be switched off. */
export interface UdpFeatures {
  readonly segment: boolean;
  readonly gro: boolean;
  /** Hears that a socket gives trains up because one was refused with this errno. */
  readonly refused?: (family: 4 | 6, errno: number) => void;
}

/** A socket's buffers in bytes, with the kernel's overhead; zeros where the kernel does not tell (before 4.12). */
export interface SocketMemory {
  readonly received: number;
  readonly receiveBound: number;
  readonly sent: number;
  readonly sendBound: number;
  /** Datagrams that found the receive buffer full. */
  readonly drops: number;
}

/** A UDP socket of one family, bound to one port on all addresses. */
export class UdpSocket {
  /** Who sent what was last received, and to which of our addresses. */
  readonly from: Uint32Array = new Uint32Array(12);
  /** Bytes of each datagram but the last in what was last received. */
  segment = 0;
  /** TOS or traffic class of what was last received. */
  tos = 0;
  /** Receives that failed. */
  errors = 0;
  /** How many datagrams were refused when `send` last failed. */
  refused = 0;
  /** Whether trains are sent in one call. */
  segmentation: boolean;
  /** Whether trains are received in one call. */
  readonly coalescing: boolean;
  readonly #in: Message;
  readonly #out: Message;

  private constructor(
    readonly arena: Arena,
    readonly family: 4 | 6,
    readonly fd: number,
    readonly features: UdpFeatures,
  ) {
    this.#in = Message.take(arena);
    this.#out = Message.take(arena);
    this.segmentation = features.segment && getOption(fd, SOL_UDP, UDP_SEGMENT) >= 0;
    this.coalescing = features.gro && setOption(fd, SOL_UDP, UDP_GRO, 1) >= 0 &&
      getOption(fd, SOL_UDP, UDP_GRO) === 1;
  }

  /**
   * Opens and binds a socket. SO_REUSEADDR stays off: it would let another process take the port over.
   *
   * @param options.port 0 lets the kernel choose.
   * @param options.mark 0 for none.
   * @throws {SystemError} If the family is not there or the port is taken.
   */
  static open(
    arena: Arena,
    options: { family: 4 | 6; port: number; mark: number; features: UdpFeatures },
  ): UdpSocket {
    const { family, port, mark } = options;
    const fd = check(
      libc().socket(family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
      `opening a UDP socket over IPv${family}`,
    );
    let socket: UdpSocket | undefined;
    try {
      if (family === 4) {
        setOption(fd, IPPROTO_IP, IP_PKTINFO, 1);
        setOption(fd, IPPROTO_IP, IP_RECVTOS, 1);
        // As the kernel's WireGuard: outer packets may be fragmented, and ICMP cannot shrink the path (socket.c).
        setOption(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
      } else {
        check(setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1), "keeping IPv4 off an IPv6 socket");
        setOption(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
        setOption(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
        setOption(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
      }
      for (const [plain, force] of [[SO_RCVBUF, SO_RCVBUFFORCE], [SO_SNDBUF, SO_SNDBUFFORCE]] as const) {
        if (setOption(fd, SOL_SOCKET, force, BUFFER_BYTES) < 0) {
          setOption(fd, SOL_SOCKET, plain, BUFFER_BYTES);
        }
      }
      socket = new UdpSocket(arena, family, fd, options.features);
      if (mark !== 0) socket.setMark(mark);
      const address = new Uint8Array(family === 4 ? 16 : 28);
      const view = new DataView(address.buffer);
      view.setUint16(0, family === 4 ? AF_INET : AF_INET6, true);
      view.setUint16(2, port);
      check(
        libc().bind(fd, address, address.length),
        `listening on UDP port ${port} over IPv${family}`,
        (code) =>
          code === Errno.EADDRINUSE ? "another program uses this port; choose another ListenPort" : undefined,
      );
      return socket;
    } catch (error) {
      if (socket) socket.close();
      else close(fd);
      throw error;
    }
  }

  /** The port this socket is bound to. */
  get port(): number {
    const address = new Uint8Array(28);
    const length = new Uint32Array([address.length]);
    check(libc().getsockname(this.fd, address, length), "reading the port");
    return new DataView(address.buffer).getUint16(2);
  }

  /** How full its buffers are. */
  get memory(): SocketMemory {
    const words = readMemory(this.fd);
    return {
      received: words[SK_MEMINFO.received]!,
      receiveBound: words[SK_MEMINFO.receiveBound]!,
      sent: words[SK_MEMINFO.sent]!,
      sendBound: words[SK_MEMINFO.sendBound]!,
      drops: words[SK_MEMINFO.drops]! >>> 0,
    };
  }

  /** Whether what waits to leave takes more than half of the send buffer. */
  get crowded(): boolean {
    const words = readMemory(this.fd);
    return words[SK_MEMINFO.sent]! > words[SK_MEMINFO.sendBound]! / 2;
  }

  /** Sets the mark on what is sent; 0 is none. */
  setMark(mark: number): void {
    check(
      setOption(this.fd, SOL_SOCKET, SO_MARK, mark),
      `setting the mark to ${mark}`,
      (code) => code === Errno.EPERM ? "run as root or give CAP_NET_ADMIN" : undefined,
    );
  }

  /**
   * Receives one datagram or a train, and fills `from`, `segment` and `tos`.
   *
   * @returns Bytes; 0 when nothing waits.
   */
  receive(at: number, capacity: number): number {
    const message = this.#in;
    for (let attempt = 0; attempt < RECEIVE_ATTEMPTS; attempt++) {
      message.prepare(at, capacity, NAME, CONTROL);
      const length = libc().recvmsg(this.fd, message.pointer.value, 0);
      if (length > 0) {
        this.segment = length;
        this.tos = 0;
        this.#readName();
        this.#readControl();
        return length;
      }
      if (length < 0 && errno() === Errno.EAGAIN) return 0;
      this.errors++;
    }
    return 0;
  }

  /**
   * Sends one datagram, or with `segment` a train.
   *
   * A source address that is no longer ours, or no longer on the way, is forgotten in `to` and the same bytes go out
   * again; a route that cannot segment gets single datagrams from then on.
   *
   * @param segment Bytes of each datagram but the last; 0 for one datagram.
   * @returns 0, or a negative errno; then `refused` says how many datagrams it cost.
   */
  send(to: Uint32Array, at: number, length: number, segment: number, tos: number): number {
    if (segment !== 0 && !this.segmentation) return this.#sendSingly(to, at, length, segment, tos);
    const code = this.#sendOnce(to, at, length, segment, tos);
    if (code === 0) return 0;
    if (hasSource(to) && isSourceError(code)) {
      to.fill(0, 7);
      return this.send(to, at, length, segment, tos);
    }
    // The path is narrower than one datagram: single ones may be fragmented, trains may not (udp.c, udp_send_skb).
    if (segment !== 0 && code === Errno.EMSGSIZE) return this.#sendSingly(to, at, length, segment, tos);
    // EIO: the device cannot checksum; EINVAL: virtio over IPv6 on 5.15 and 6.1.
    if (segment !== 0 && (code === Errno.EIO || code === Errno.EINVAL)) {
      this.segmentation = false;
      this.features.refused?.(this.family, code);
      return this.#sendSingly(to, at, length, segment, tos);
    }
    this.refused = segment === 0 ? 1 : Math.ceil(length / segment);
    return -code;
  }

  close(): void {
    close(this.fd);
    this.#in.giveBack();
    this.#out.giveBack();
  }

  #sendSingly(to: Uint32Array, at: number, length: number, segment: number, tos: number): number {
    let worst = 0;
    let refused = 0;
    for (let offset = 0; offset < length; offset += segment) {
      const code = this.send(to, at + offset, Math.min(segment, length - offset), 0, tos);
      if (code === 0) continue;
      worst = code;
      refused++;
    }
    this.refused = refused;
    return worst;
  }

  /** @returns 0, or the positive errno. */
  #sendOnce(to: Uint32Array, at: number, length: number, segment: number, tos: number): number {
    const message = this.#out;
    const nameLength = this.#writeName(to);
    const control = this.#writeControl(to, segment, tos);
    message.prepare(at, length, nameLength, control);
    for (;;) {
      if (libc().sendmsg(this.fd, message.pointer.value, 0) >= 0) return 0;
      const code = errno();
      if (code !== Errno.EINTR) return code;
    }
  }

  #readName(): void {
    const { view } = this.arena;
    const { name } = this.#in;
    const { from } = this;
    from[0] = this.family;
    from[1] = view.getUint16(name + 2);
    if (this.family === 4) {
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

  /** Reads PKTINFO, TOS and the GRO size; whatever else the kernel adds is stepped over. */
  #readControl(): void {
    const { view } = this.arena;
    const { control, header } = this.#in;
    const { from } = this;
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
        if (segment > 0) this.segment = segment;
      } else if (level === IPPROTO_IP && type === IP_PKTINFO && size >= 12) {
        from[7] = view.getUint32(data, true);
        // ipi_spec_dst, the address to answer from; ipi_addr could be a broadcast address.
        from[8] = view.getUint32(data + 4, true);
      } else if (level === IPPROTO_IPV6 && type === IPV6_PKTINFO && size >= 20) {
        for (let i = 0; i < 4; i++) from[8 + i] = view.getUint32(data + 4 * i, true);
        from[7] = view.getUint32(data + 16, true);
      } else if (level === IPPROTO_IP && type === IP_TOS && size >= 1) {
        this.tos = view.getUint8(data);
      } else if (level === IPPROTO_IPV6 && type === IPV6_TCLASS && size >= 4) {
        this.tos = view.getInt32(data, true) & 0xff;
      }
      at += (length + CMSGHDR.align - 1) & -CMSGHDR.align;
    }
  }

  #writeName(to: Uint32Array): number {
    const { view } = this.arena;
    const { name } = this.#out;
    view.setUint16(name, this.family === 4 ? AF_INET : AF_INET6, true);
    view.setUint16(name + 2, to[1]!);
    if (this.family === 4) {
      view.setUint32(name + 4, to[2]!, true);
      return 16;
    }
    view.setUint32(name + 4, 0, true);
    for (let i = 0; i < 4; i++) view.setUint32(name + 8 + 4 * i, to[2 + i]!, true);
    view.setUint32(name + 24, to[6]!, true);
    return 28;
  }

  #writeControl(to: Uint32Array, segment: number, tos: number): number {
    const { view } = this.arena;
    const { control } = this.#out;
    let at = control;
    if (hasSource(to)) {
      if (this.family === 4) {
        // The interface is left open: the source address is what must stay, the route decides the rest.
        at = this.#begin(at, IPPROTO_IP, IP_PKTINFO, 12);
        view.setUint32(at - 16, 0, true);
        view.setUint32(at - 12, to[8]!, true);
        view.setUint32(at - 8, 0, true);
      } else {
        at = this.#begin(at, IPPROTO_IPV6, IPV6_PKTINFO, 20);
        for (let i = 0; i < 4; i++) view.setUint32(at - 24 + 4 * i, to[8 + i]!, true);
        // A link-local address means nothing without its interface.
        view.setUint32(at - 8, to[6] !== 0 ? to[7]! : 0, true);
      }
    }
    if (tos !== 0) {
      at = this.family === 4
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

const memoryWords = new Int32Array(SK_MEMINFO.words);
const memoryLength = new Uint32Array(1);

/** How full a socket's buffers are, by SK_MEMINFO; valid until the next call. */
function readMemory(fd: number): Int32Array {
  memoryWords.fill(0);
  memoryLength[0] = memoryWords.byteLength;
  libc().getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memoryWords, memoryLength);
  return memoryWords;
}

/** A `struct msghdr` with its one iovec, name and control room, laid out once. */
class Message {
  /** An interface may go up and down for years. */
  static readonly #free = new FreeList((arena) => new Message(arena));

  readonly header: number;
  readonly pointer: ArenaPointer;
  readonly name: number;
  readonly control: number;
  readonly #iovec: number;

  static take(arena: Arena): Message {
    return Message.#free.take(arena);
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
    Message.#free.giveBack(this.arena, this);
  }

  /** Points the message at its bytes. Addresses are written anew since the arena may have moved. */
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
}

/** The two sockets of one port. */
export interface UdpPair {
  readonly v4: UdpSocket;
  /** Null where the kernel has no IPv6. */
  readonly v6: UdpSocket | null;
  readonly port: number;
}

/**
 * Opens both families on one port; with port 0 the kernel chooses one that both have free.
 *
 * @throws {SystemError} If the port is taken.
 */
export function openUdpPair(
  arena: Arena,
  options: { port: number; mark: number; features: UdpFeatures },
): UdpPair {
  const { mark, features } = options;
  // A port that the kernel finds free for IPv4 may be taken for IPv6; it is asked again, as the kernel does (socket.c).
  for (let attempt = 1;; attempt++) {
    const v4 = UdpSocket.open(arena, { family: 4, port: options.port, mark, features });
    try {
      const { port } = v4;
      return { v4, v6: openV6(arena, port, mark, features), port };
    } catch (error) {
      v4.close();
      const taken = error instanceof SystemError && error.errno === Errno.EADDRINUSE;
      if (!taken || options.port !== 0 || attempt === 100) throw error;
    }
  }
}

function openV6(arena: Arena, port: number, mark: number, features: UdpFeatures): UdpSocket | null {
  try {
    return UdpSocket.open(arena, { family: 6, port, mark, features });
  } catch (error) {
    if (
      error instanceof SystemError &&
      (error.errno === Errno.EAFNOSUPPORT || error.errno === Errno.EADDRNOTAVAIL)
    ) {
      return null;
    }
    throw error;
  }
}

function hasSource(words: Uint32Array): boolean {
  return (words[8]! | words[9]! | words[10]! | words[11]!) !== 0;
}

function isSourceError(code: number): boolean {
  return code === Errno.EINVAL || code === Errno.EADDRNOTAVAIL || code === Errno.ENETUNREACH ||
    code === Errno.EHOSTUNREACH;
}

function setOption(fd: number, level: number, name: number, value: number): number {
  return libc().setsockopt(fd, level, name, new Int32Array([value]), 4);
}

/** @returns The option's value, or -1 where the kernel does not know it. */
function getOption(fd: number, level: number, name: number): number {
  const value = new Int32Array(1);
  return libc().getsockopt(fd, level, name, value, new Uint32Array([4])) < 0 ? -1 : value[0]!;
}
