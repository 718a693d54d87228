/**
 * Packet sockets: whole packets, past a host's own network stack. For programs that run inside a host.
 *
 * @module
 */

const AF_PACKET = 17, SOCK_DGRAM = 2, SOCK_RAW = 3, SOCK_NONBLOCK = 0o4000;
const SOL_PACKET = 263, PACKET_VNET_HDR = 15, SOL_SOCKET = 1, SO_RCVBUFFORCE = 33, SO_SNDBUFFORCE = 32;
const ETH_P_IP = 0x0800, ETH_P_IPV6 = 0x86dd, ETH_P_ALL = 0x0003;
const PACKET_OUTGOING = 4, POLLIN = 1;
const CLONE_NEWNET = 0x4000_0000;
const BUFFER = 64 << 20;
const VIRTIO_HEADER = 10;

const libc = Deno.dlopen("libc.so.6", {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  if_nametoindex: { parameters: ["buffer"], result: "u32" },
  sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "isize" },
  recvfrom: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "buffer"], result: "isize" },
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32" },
  open: { parameters: ["buffer", "i32"], result: "i32" },
  setns: { parameters: ["i32", "i32"], result: "i32" },
}).symbols;

function must(result: number | bigint, what: string): number {
  if (result < 0) throw new Error(`${what} failed`);
  return Number(result);
}

function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}

/** struct sockaddr_ll */
function address(protocol: number, index: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, protocol);
  view.setInt32(4, index, true);
  return bytes;
}

/** Puts this thread into the network namespace of a process. Sockets that it has stay where they are. */
export function enterNetwork(pid: number): void {
  const fd = must(libc.open(cString(`/proc/${pid}/ns/net`), 0), `opening the network of ${pid}`);
  must(libc.setns(fd, CLONE_NEWNET), `entering the network of ${pid}`);
}

/** Packets of one interface of the network that this thread is in. */
export class PacketSocket {
  readonly #from = new Uint8Array(20);
  readonly #fromLength = new Uint32Array(1);
  readonly #to: ReadonlyMap<number, Uint8Array<ArrayBuffer>>;
  readonly #poll = new Uint32Array(2);

  private constructor(readonly fd: number, index: number) {
    this.#to = new Map([[4, address(ETH_P_IP, index)], [6, address(ETH_P_IPV6, index)]]);
  }

  /**
   * A socket that sends.
   *
   * @param header Whether what is sent begins with a virtio header, and may be a super-packet.
   */
  static sending(name: string, header: boolean): PacketSocket {
    // Only raw sockets have the header, and this interface has no link layer whose header they would have to write.
    const fd = must(libc.socket(AF_PACKET, header ? SOCK_RAW : SOCK_DGRAM, 0), "socket");
    setBuffer(fd, SO_SNDBUFFORCE);
    if (header) setHeader(fd);
    return new PacketSocket(fd, indexOf(name));
  }

  /** A socket that receives, each packet behind its virtio header. It never waits. */
  static receiving(name: string): PacketSocket {
    const protocol = ETH_P_ALL << 8;
    const fd = must(libc.socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, protocol), "socket");
    setHeader(fd);
    setBuffer(fd, SO_RCVBUFFORCE);
    const own = address(ETH_P_ALL, indexOf(name));
    must(libc.bind(fd, own, own.length), "bind");
    return new PacketSocket(fd, indexOf(name));
  }

  /** Sends a packet. @param at Where its IP header is. */
  send(packet: Uint8Array<ArrayBuffer>, at: number): void {
    const to = this.#to.get(packet[at]! >> 4)!;
    must(libc.sendto(this.fd, packet, BigInt(packet.length), 0, to, to.length), "sending a packet");
  }

  /** Receives what the interface got from others. @returns Bytes; 0 if there is nothing. */
  receive(into: Uint8Array<ArrayBuffer>): number {
    for (;;) {
      this.#fromLength[0] = this.#from.length;
      const length = Number(
        libc.recvfrom(this.fd, into, BigInt(into.length), 0, this.#from, this.#fromLength),
      );
      if (length <= 0) return 0;
      if (this.#from[10] !== PACKET_OUTGOING) return length;
    }
  }

  /** Waits until there is something to receive. */
  wait(milliseconds: number): void {
    this.#poll[0] = this.fd;
    this.#poll[1] = POLLIN;
    libc.poll(this.#poll, 1n, milliseconds);
  }
}

/** Bytes for the largest packet behind its virtio header. */
export const LARGEST: number = VIRTIO_HEADER + 65_536;

function indexOf(name: string): number {
  const index = libc.if_nametoindex(cString(name));
  if (index === 0) throw new Error(`there is no interface ${name}`);
  return index;
}

function setHeader(fd: number): void {
  must(libc.setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, new Int32Array([1]), 4), "PACKET_VNET_HDR");
}

function setBuffer(fd: number, option: number): void {
  must(libc.setsockopt(fd, SOL_SOCKET, option, new Int32Array([BUFFER]), 4), "setting a buffer's size");
}
