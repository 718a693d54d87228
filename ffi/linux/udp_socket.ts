/**
 * UDP sockets: trains of datagrams (UDP_SEGMENT, UDP_GRO), sticky source addresses (PKTINFO), TOS and marks.
 *
 * An endpoint is twelve 32-bit words: family (4, 6; 0 is none), port, four words of address (bytes in network order),
 * IPv6 scope, then the source of replies: interface index and four words of address.
 *
 * @module
 */

import type { Arena } from "./arena.ts";
import {
  AF_INET,
  AF_INET6,
  Errno,
  IP_MTU_DISCOVER,
  IP_PKTINFO,
  IP_PMTUDISC_DONT,
  IP_RECVTOS,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_MTU_DISCOVER,
  IPV6_PMTUDISC_DONT,
  IPV6_RECVPKTINFO,
  IPV6_RECVTCLASS,
  IPV6_V6ONLY,
  SK_MEMINFO,
  SO_MARK,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
  SOL_UDP,
  UDP_CORK,
  UDP_GRO,
  UDP_SEGMENT,
} from "./constants.ts";
import { check, close, errno, libc } from "./libc.ts";
import { getOption, readMemory, setOption, type SocketMemory } from "./socket_options.ts";
import { CONTROL, hasSource, NAME, UdpMessage } from "./udp_message.ts";

/** The requested size of both buffers, so that a train does not fill one. The kernel may grant less. */
const BUFFER_BYTES = 7 << 20;

/** The maximum number of empty datagrams and ICMP errors that one call skips. */
const RECEIVE_ATTEMPTS = 16;

/** The features that a socket may use. Each can be turned off. */
export interface UdpFeatures {
  readonly segment: boolean;
  readonly gro: boolean;
  /** Called when a socket stops sending trains because one was refused with this errno. */
  readonly refused?: (family: 4 | 6, errno: number) => void;
}

/** A UDP socket of one family, bound to one port on all addresses. */
export class UdpSocket {
  /** The sender and the local address of the last received datagrams. */
  readonly from: Uint32Array = new Uint32Array(12);
  /** Bytes of each datagram but the last in the last received train. */
  segment = 0;
  /** TOS or traffic class of the last received datagrams. */
  tos = 0;
  /** Whether the last receive found nothing. */
  empty = false;
  /** Receives that failed. */
  errors = 0;
  /** How many datagrams were refused when `send` last failed. */
  refused = 0;
  /** Whether trains are sent in one call. */
  segmentation: boolean;
  /** Whether trains are received in one call. */
  readonly coalescing: boolean;
  readonly #in: UdpMessage;
  readonly #out: UdpMessage;

  private constructor(
    readonly arena: Arena,
    readonly family: 4 | 6,
    readonly fd: number,
    readonly features: UdpFeatures,
  ) {
    this.#in = UdpMessage.take(arena);
    this.#out = UdpMessage.take(arena);
    this.segmentation = features.segment;
    this.coalescing = features.gro;
  }

  /**
   * Opens and binds a socket. SO_REUSEADDR stays off, because it would let another process take over the port.
   *
   * @param options.port 0 lets the kernel choose.
   * @param options.mark 0 for none.
   * @throws {SystemError} If the kernel does not support the family, or the port is in use.
   */
  static open(
    arena: Arena,
    options: { family: 4 | 6; port: number; mark: number; features: UdpFeatures },
  ): UdpSocket {
    const { family, port, mark, features } = options;
    const fd = check(
      libc().socket(family === 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
      `opening a UDP socket over IPv${family}`,
    );
    let socket: UdpSocket | undefined;
    try {
      if (family === 4) {
        setOption(fd, IPPROTO_IP, IP_PKTINFO, 1);
        setOption(fd, IPPROTO_IP, IP_RECVTOS, 1);
        // As in the kernel's WireGuard, outer packets may be fragmented, and ICMP cannot reduce the path MTU
        // (socket.c).
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
      socket = new UdpSocket(arena, family, fd, {
        ...features,
        segment: features.segment && getOption(fd, SOL_UDP, UDP_SEGMENT) >= 0,
        gro: features.gro && setOption(fd, SOL_UDP, UDP_GRO, 1) >= 0 &&
          getOption(fd, SOL_UDP, UDP_GRO) === 1,
      });
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

  /**
   * The socket of another thread, for sending. It must not be closed.
   *
   * @param arena This thread's arena.
   */
  static borrow(arena: Arena, family: 4 | 6, fd: number, features: UdpFeatures): UdpSocket {
    return new UdpSocket(arena, family, fd, features);
  }

  /**
   * An IPv4 socket that sends nothing, for warming up. It keeps up to 65,507 bytes until it is closed (UDP_CORK).
   */
  static keeping(arena: Arena): UdpSocket {
    const fd = check(
      libc().socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
      "opening a UDP socket over IPv4",
    );
    const socket = new UdpSocket(arena, 4, fd, { segment: true, gro: false });
    check(setOption(fd, SOL_UDP, UDP_CORK, 1), "keeping datagrams in a socket");
    return socket;
  }

  /**
   * A socket that receives from another descriptor, as if from `from`, for warming up. The caller closes the
   * descriptor.
   */
  static over(arena: Arena, fd: number, from: Uint32Array): UdpSocket {
    const socket = new UdpSocket(arena, 4, fd, { segment: false, gro: false });
    socket.#in.writeName(4, from);
    return socket;
  }

  /** Reads of a datagram what the kernel would add to it, and sends an empty one through another socket as its answer. */
  rehearse(sender: UdpSocket): void {
    this.#in.writeReceived();
    this.#in.readControl(this);
    sender.send(this.from.slice(), 0, 1, 0, this.tos);
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

  /** Whether unsent data takes more than half of the send buffer. */
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
   * Receives one datagram or a train, and sets `from`, `segment` and `tos`.
   *
   * @returns The number of bytes; 0 if nothing waits.
   */
  receive(at: number, capacity: number): number {
    const message = this.#in;
    this.empty = false;
    for (let attempt = 0; attempt < RECEIVE_ATTEMPTS; attempt++) {
      message.prepare(at, capacity, NAME, CONTROL);
      const length = libc().recvmsg(this.fd, message.pointer.value, 0);
      if (length > 0) {
        this.segment = length;
        this.tos = 0;
        message.readName(this.family, this.from);
        message.readControl(this);
        return length;
      }
      if (length < 0 && errno() === Errno.EAGAIN) {
        this.empty = true;
        return 0;
      }
      this.errors++;
    }
    return 0;
  }

  /**
   * Sends one datagram, or with `segment` a train.
   *
   * If the source address is no longer a local address, or no longer valid for the route, it is cleared in `to` and the
   * same bytes are sent again. If the route does not support segmentation, single datagrams are sent from then on.
   *
   * @param segment Bytes of each datagram but the last; 0 for one datagram.
   * @returns 0, or a negative errno. Then `refused` is the number of lost datagrams.
   */
  send(to: Uint32Array, at: number, length: number, segment: number, tos: number): number {
    if (segment !== 0 && !this.segmentation) return this.#sendSingly(to, at, length, segment, tos);
    const code = this.#sendOnce(to, at, length, segment, tos);
    if (code === 0) return 0;
    if (hasSource(to) && isSourceError(code)) {
      to.fill(0, 7);
      return this.send(to, at, length, segment, tos);
    }
    // The path MTU is smaller than a datagram. Single datagrams may be fragmented, trains may not (udp.c,
    // udp_send_skb).
    if (segment !== 0 && code === Errno.EMSGSIZE) return this.#sendSingly(to, at, length, segment, tos);
    // EIO: the device cannot checksum; EINVAL: virtio over IPv6 on 5.15 and 6.1.
    if (segment !== 0 && (code === Errno.EIO || code === Errno.EINVAL)) {
      this.trainsRefused(code);
      return this.#sendSingly(to, at, length, segment, tos);
    }
    this.refused = segment === 0 ? 1 : Math.ceil(length / segment);
    return -code;
  }

  /** A train was refused: single datagrams are sent from now on. */
  trainsRefused(errno: number): void {
    if (!this.segmentation) return;
    this.segmentation = false;
    this.features.refused?.(this.family, errno);
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
    const nameLength = message.writeName(this.family, to);
    const control = message.writeControl(this.family, to, segment, tos);
    message.prepare(at, length, nameLength, control);
    for (;;) {
      if (libc().sendmsg(this.fd, message.pointer.value, 0) >= 0) return 0;
      const code = errno();
      if (code !== Errno.EINTR) return code;
    }
  }
}

function isSourceError(code: number): boolean {
  return code === Errno.EINVAL || code === Errno.EADDRNOTAVAIL || code === Errno.ENETUNREACH ||
    code === Errno.EHOSTUNREACH;
}
