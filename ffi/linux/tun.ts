/**
 * The TUN device: inner packets from and to the kernel.
 *
 * @module
 */

import { VIRTIO_HEADER } from "../../wasm/packet.ts";
import { type Arena, ArenaPointer, machineAddress, PointerCache, setPointer } from "./arena.ts";
import { check, close, cString, errno, libc } from "./libc.ts";
import {
  AF_INET,
  CLONE_NEWNET,
  Errno,
  IFF_NO_PI,
  IFF_TUN,
  IFF_UP,
  IFF_VNET_HDR,
  IFNAMSIZ,
  IFREQ,
  IOVEC,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
  SIOCGIFFLAGS,
  SIOCGIFINDEX,
  SIOCGIFMTU,
  SIOCSIFMTU,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  TUN_F_CSUM,
  TUN_F_TSO4,
  TUN_F_TSO6,
  TUN_F_USO4,
  TUN_F_USO6,
  TUNGETDEVNETNS,
  TUNGETIFF,
  TUNSETIFF,
  TUNSETOFFLOAD,
} from "./constants.ts";

/** The maximum number of parts of one write (IOV_MAX, linux/uio.h). */
const MAX_PARTS = 1_024;

/** The offloads to request. */
export interface TunFeatures {
  readonly tcp: boolean;
  readonly udp: boolean;
}

/** The offloads that the kernel supports. */
export interface TunOffloads {
  /** Packets have a virtio header. The kernel may leave checksums to us, and super-packets can be written. */
  readonly header: boolean;
  /** TCP super-packets are not split. */
  readonly tcp: boolean;
  /** UDP super-packets are not split (Linux 6.2). */
  readonly udp: boolean;
}

/** A TUN interface; closing it deletes the interface. */
export class Tun {
  /** The number of failed reads that lost a packet. */
  readErrors = 0;
  /** Writes that failed. */
  writeErrors = 0;
  /** Whether a read found the interface deleted. */
  deleted = false;
  #control: number;
  #name: string;
  readonly #pointers: PointerCache;
  /** The list of parts of one write. */
  readonly #parts: number;
  readonly #partsPointer: ArenaPointer;

  private constructor(
    readonly arena: Arena,
    readonly fd: number,
    name: string,
    readonly offloads: TunOffloads,
    /** A socket for requests about the interface, in its namespace. */
    control: number,
  ) {
    this.#control = control;
    this.#name = name;
    this.#parts = arena.allocate(MAX_PARTS * IOVEC.size);
    this.#partsPointer = new ArenaPointer(arena, this.#parts);
    this.#pointers = new PointerCache(arena);
  }

  /** The interface's name as last seen. */
  get name(): string {
    return this.#name;
  }

  /**
   * Makes the interface.
   *
   * @param name 1 to 15 bytes.
   * @param features The super-packets to request.
   * @throws {SystemError} If the device is missing, busy or not permitted.
   */
  static open(arena: Arena, name: string, features: TunFeatures): Tun {
    const fd = check(
      libc().open(cString("/dev/net/tun"), O_RDWR | O_NONBLOCK | O_CLOEXEC, 0),
      "opening /dev/net/tun",
      openHint,
    );
    return Tun.make(arena, fd, name, features);
  }

  /**
   * Makes the interface with a descriptor of the TUN device. It is made in the network namespace in which the device
   * was opened. If that is not the current one, only reading and writing packets work.
   *
   * @param fd Of /dev/net/tun; it is closed if this throws.
   * @throws {SystemError} As `open`.
   */
  static make(arena: Arena, fd: number, name: string, features: TunFeatures): Tun {
    try {
      let header = features.tcp || features.udp;
      if (header && setInterface(fd, name, IFF_VNET_HDR) < 0) header = false;
      if (!header) {
        check(setInterface(fd, name, 0), `making the interface ${name}`, interfaceHint);
      }
      return new Tun(
        arena,
        fd,
        name,
        header ? negotiate(fd, features) : { header: false, tcp: false, udp: false },
        openControl(),
      );
    } catch (error) {
      close(fd);
      throw error;
    }
  }

  /**
   * A device that reads and writes another descriptor, for warming up. Its other methods do not work. The caller closes
   * the descriptor.
   */
  static over(arena: Arena, fd: number): Tun {
    return new Tun(arena, fd, "", { header: true, tcp: true, udp: true }, -1);
  }

  /**
   * Reads one packet, or a super-packet of up to 65,535 bytes.
   *
   * @param at Where the 10-byte virtio header goes (zeros where the device has none); the packet follows.
   * @returns Bytes, header included; 0 when nothing waits, or the interface is gone.
   */
  read(at: number, capacity: number): number {
    const { arena } = this;
    const skip = this.offloads.header ? 0 : VIRTIO_HEADER;
    const length = libc().read(this.fd, this.#pointers.at(at + skip), BigInt(capacity - skip));
    if (length > 0) {
      if (skip > 0) arena.bytes.fill(0, at, at + skip);
      return length + skip;
    }
    const code = length < 0 ? errno() : 0;
    if (code === Errno.EBADFD || code === Errno.EBADF || code === Errno.ENODEV) this.deleted = true;
    // After any other error the next packet may be readable.
    else if (code !== Errno.EAGAIN && code !== Errno.EINTR) this.readErrors++;
    return 0;
  }

  /** Writes one packet or super-packet with its virtio header. @returns 0, or the errno if it was lost. */
  write(at: number, length: number): number {
    const skip = this.offloads.header ? 0 : VIRTIO_HEADER;
    const written = libc().write(this.fd, this.#pointers.at(at + skip), BigInt(length - skip));
    return written === length - skip ? 0 : this.#failed(written);
  }

  /**
   * Writes one super-packet that lies in parts, the virtio header at the beginning of the first.
   *
   * @param parts A list of `count` parts: offset from `origin` and length, in two 32-bit words each.
   * @returns 0, or the errno if it was lost.
   */
  writeParts(origin: number, parts: number, count: number): number {
    const { view, base } = this.arena;
    if (count > MAX_PARTS) return Errno.EINVAL;
    const first = base + origin;
    let total = 0;
    for (let i = 0; i < count; i++) {
      const length = view.getUint32(parts + 8 * i + 4, true);
      const at = this.#parts + i * IOVEC.size;
      setPointer(view, at + IOVEC.base, first + view.getUint32(parts + 8 * i, true));
      setPointer(view, at + IOVEC.length, length);
      total += length;
    }
    const written = libc().writev(this.fd, this.#partsPointer.value, count);
    return written === total ? 0 : this.#failed(written);
  }

  /** The errno of an incomplete write. The device accepts a whole packet or none. */
  #failed(written: number): number {
    const code = written < 0 ? errno() : Errno.EIO;
    this.writeErrors++;
    return code;
  }

  /** The interface's MTU in bytes. */
  get mtu(): number {
    return new DataView(this.#request(SIOCGIFMTU, "reading the MTU").buffer).getInt32(IFREQ.data, true);
  }

  set mtu(bytes: number) {
    this.#request(SIOCSIFMTU, `setting the MTU to ${bytes}`, bytes);
  }

  /** The interface's index. */
  get index(): number {
    return new DataView(this.#request(SIOCGIFINDEX, "reading the interface's index").buffer)
      .getInt32(IFREQ.data, true);
  }

  /** Whether the interface is administratively up. */
  get up(): boolean {
    const flags = new DataView(this.#request(SIOCGIFFLAGS, "reading the interface's flags").buffer);
    return (flags.getInt16(IFREQ.data, true) & IFF_UP) !== 0;
  }

  /** Where the interface is now, and its name there. @throws {SystemError} If it was deleted, or has just been moved. */
  get location(): { name: string; index: number; namespace: number } {
    const there = this.#namespace();
    try {
      this.#readName();
      const link = Deno.readLinkSync(`/proc/thread-self/fd/${there}`);
      return { name: this.#name, index: this.index, namespace: Number(/\d+/.exec(link)![0]) };
    } finally {
      close(there);
    }
  }

  /** Opens the network namespace that the interface is in. */
  #namespace(): number {
    return check(
      libc().ioctl(this.fd, TUNGETDEVNETNS, 0),
      `looking for the interface ${this.name}`,
      (code) => code === Errno.EBADFD ? "it was deleted" : undefined,
    );
  }

  #readName(): void {
    const request = new Uint8Array(IFREQ.size);
    check(libc().ioctl(this.fd, TUNGETIFF, machineAddress(request)), `reading the name of ${this.name}`);
    this.#name = new TextDecoder().decode(request.subarray(0, request.indexOf(0)));
  }

  /**
   * Finds the network namespace that the interface was moved to, and runs `action` with this thread in that namespace.
   *
   * @throws {SystemError} If the interface is gone.
   */
  follow<T>(action: () => T): T {
    const there = this.#namespace();
    try {
      const here = check(
        libc().open(cString("/proc/thread-self/ns/net"), O_CLOEXEC, 0),
        "opening our namespace",
      );
      try {
        check(libc().setns(there, CLONE_NEWNET), `entering the namespace of ${this.name}`);
        const control = openControl();
        close(this.#control);
        this.#control = control;
        this.#readName();
        return action();
      } finally {
        libc().setns(here, CLONE_NEWNET);
        close(here);
      }
    } finally {
      close(there);
    }
  }

  close(): void {
    close(this.fd);
    close(this.#control);
  }

  #request(command: number, action: string, value = 0): Uint8Array<ArrayBuffer> {
    const request = interfaceRequest(this.name);
    new DataView(request.buffer).setInt32(IFREQ.data, value, true);
    check(libc().ioctl(this.#control, command, machineAddress(request)), `${action} of ${this.name}`);
    return request;
  }
}

function openControl(): number {
  return check(libc().socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "making a control socket");
}

function setInterface(fd: number, name: string, flags: number): number {
  const request = interfaceRequest(name);
  new DataView(request.buffer).setInt16(IFREQ.data, IFF_TUN | IFF_NO_PI | flags, true);
  return libc().ioctl(fd, TUNSETIFF, machineAddress(request));
}

/**
 * Requests the offloads that are enabled and that the kernel supports. The virtio header works without any of them. The
 * combinations are tried in this order because older kernels have TCP offload only.
 */
function negotiate(fd: number, { tcp, udp }: TunFeatures): TunOffloads {
  const tcpFlags = tcp ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 : 0;
  const udpFlags = udp ? TUN_F_CSUM | TUN_F_USO4 | TUN_F_USO6 : 0;
  for (const flags of [tcpFlags | udpFlags, tcpFlags, udpFlags]) {
    if (flags === 0 || libc().ioctl(fd, TUNSETOFFLOAD, flags) < 0) continue;
    return { header: true, tcp: (flags & TUN_F_TSO4) !== 0, udp: (flags & TUN_F_USO4) !== 0 };
  }
  libc().ioctl(fd, TUNSETOFFLOAD, 0);
  return { header: true, tcp: false, udp: false };
}

function interfaceRequest(name: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length === 0 || bytes.length >= IFNAMSIZ) {
    throw new RangeError(`an interface name has 1 to 15 bytes, and "${name}" has ${bytes.length}`);
  }
  const request = new Uint8Array(IFREQ.size);
  request.set(bytes);
  return request;
}

function openHint(code: number): string | undefined {
  switch (code) {
    case Errno.EACCES:
    case Errno.EPERM:
      return "run as root or give CAP_NET_ADMIN";
    case Errno.ENOENT:
    case Errno.ENODEV:
      return "load the kernel's tun module (modprobe tun), or give the container the device (--device /dev/net/tun)";
    default:
      return undefined;
  }
}

function interfaceHint(code: number): string | undefined {
  switch (code) {
    case Errno.EPERM:
      return "run as root or give CAP_NET_ADMIN";
    case Errno.EBUSY:
      return "an interface of this name already exists";
    case Errno.EINVAL:
      return "an interface of this name and another kind exists, or the name is not valid";
    default:
      return undefined;
  }
}
