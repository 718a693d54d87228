/**
 * A wire between the kernel's TCP and ours: a TUN interface whose other end is a host in this process. Every packet can
 * be inspected, delayed or lost, and our host's clock can be set forward. It runs inside a host.
 *
 * @module
 */

import { MovingArena } from "../../../../ffi/linux/arena.ts";
import { EventLoopEpoll } from "../../../../ffi/linux/event_loop_epoll.ts";
import { Tun } from "../../../../ffi/linux/tun.ts";
import { parseAddress } from "../../../../core/config/address.ts";
import { IpHost } from "../../../../core/net/ip_host.ts";
import type { TcpConn } from "../../../../core/net/conn.ts";
import type { UserNet } from "../../../../core/net/user_net.ts";
import { VIRTIO_HEADER } from "../../../../wasm/packet.ts";
import { Wasm } from "../../../../wasm/mod.ts";
import { netWithoutEngine } from "../../../net_without_engine.ts";
import { must } from "../exec.ts";

/** The kernel's addresses. */
export const THEIRS = { 4: "10.7.0.1", 6: "fd07::1" } as const;
/** Ours. */
export const OURS = { 4: "10.7.0.2", 6: "fd07::2" } as const;

const NAME = "wire";
const ROOM = VIRTIO_HEADER + 65_536;
const NEEDS_CSUM = 1;
export const FIN = 1, SYN = 2, RST = 4, ACK = 16, URG = 32;

/** The options of a wire. */
export interface WireOptions {
  /** Of our host. */
  readonly mtu?: number;
  /** The port of our connections. By default each has another one. */
  readonly localPort?: number;
}

/** A TCP segment on the wire, maybe a super-packet. */
export class Segment {
  readonly #view: DataView;
  readonly #tcp: number;

  /** @param packet A virtio header and a packet. */
  constructor(readonly packet: Uint8Array) {
    this.#view = new DataView(packet.buffer, packet.byteOffset, packet.length);
    this.#tcp = VIRTIO_HEADER + (packet[VIRTIO_HEADER]! >> 4 === 4 ? 20 : 40);
  }

  get flags(): number {
    return this.packet[this.#tcp + 13]!;
  }

  get seq(): number {
    return this.#view.getUint32(this.#tcp + 4);
  }

  get window(): number {
    return this.#view.getUint16(this.#tcp + 14);
  }

  /** Bytes of its options. */
  get options(): Uint8Array {
    return this.packet.subarray(this.#tcp + 20, this.#payload);
  }

  get payload(): Uint8Array {
    return this.packet.subarray(this.#payload);
  }

  /** Bytes of payload in each packet that it becomes. */
  get payloadOfEach(): number {
    return this.packet[1] === 0 ? this.payload.length : this.#view.getUint16(4, true);
  }

  get #payload(): number {
    return this.#tcp + (this.packet[this.#tcp + 12]! >> 4) * 4;
  }

  /** A reset in its place: the same ends and sequence number, and no payload. */
  reset(seq: number): Segment {
    const head = this.packet.slice(0, this.#tcp + 20);
    const view = new DataView(head.buffer);
    head.fill(0, 0, VIRTIO_HEADER);
    // What is marked so is taken for summed: see `IpHost.write`.
    head[0] = NEEDS_CSUM;
    const v4 = head[VIRTIO_HEADER]! >> 4 === 4;
    if (v4) view.setUint16(VIRTIO_HEADER + 2, 40);
    else view.setUint16(VIRTIO_HEADER + 4, 20);
    view.setUint32(this.#tcp + 4, seq);
    head[this.#tcp + 12] = 5 << 4;
    head[this.#tcp + 13] = RST | ACK;
    return new Segment(head);
  }
}

/** Called with a segment before it arrives. If it returns false, the segment is lost. */
export type Watcher = (segment: Segment) => boolean | void;

/** The wire, and our host at its end. */
export class TcpWire implements AsyncDisposable {
  /** Our host, and its connections. */
  host!: IpHost;
  net!: UserNet;
  /**
   * The flags of all segments that our host has sent, that the kernel has sent, and that our host has received of
   * these.
   */
  readonly sent: number[] = [];
  readonly seen: number[] = [];
  readonly got: number[] = [];
  /** The window that our host advertised last. */
  lastWindow = -1;
  /** Called with what we send, and what we receive. */
  onSent: Watcher = () => true;
  onGot: Watcher = () => true;
  readonly #tun: Tun;
  readonly #wasm = new Wasm();
  readonly #room: number;
  readonly #epoll = new EventLoopEpoll();
  #ahead = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #scheduled = false;
  #held: { out: Uint8Array[]; in: Uint8Array[] } | null = null;
  #open = true;

  private constructor(readonly options: WireOptions) {
    const { memory } = this.#wasm;
    this.#room = memory.allocate(ROOM);
    this.#tun = Tun.open(new MovingArena(memory), NAME, { tcp: true, udp: false });
    this.restart();
    this.#epoll.watch(this.#tun.fd, () => this.#turn());
  }

  static async open(options: WireOptions = {}): Promise<TcpWire> {
    const wire = new TcpWire(options);
    // Without router solicitations and duplicate address detection, the interface's addresses work at once.
    await must([
      "sh",
      "-ec",
      `
      sysctl -qw net.ipv6.conf.${NAME}.accept_dad=0 net.ipv4.tcp_invalid_ratelimit=0
      ip link set ${NAME} mtu ${Math.max(options.mtu ?? 1_420, 1_280)} up
      ip address add ${THEIRS[4]}/24 dev ${NAME}
      ip address add ${THEIRS[6]}/64 dev ${NAME} nodad`,
    ]);
    return wire;
  }

  /** A new host in place of ours. It has no connections and sends nothing about the old ones. */
  restart(): void {
    const { mtu = 1_420, localPort } = this.options;
    const addresses = [OURS[4], OURS[6]].map((text) => parseAddress(text)!);
    this.host = new IpHost(this.#wasm, {
      addresses,
      mtu,
      maxMemory: 16 << 20,
      maxConnections: 1_000,
      random: (out) => {
        if (localPort === undefined || out.length !== 2) {
          crypto.getRandomValues(out as Uint8Array<ArrayBuffer>);
        } else {
          new DataView(out.buffer, out.byteOffset).setUint16(0, localPort - 49_152);
        }
      },
      now: () => this.#now(),
      wake: () => this.#wake(),
    });
    this.net = netWithoutEngine(this.host, addresses);
  }

  /** A connection that we have opened, and the kernel's end of it. */
  async connect(family: 4 | 6 = 4): Promise<[TcpConn, Deno.TcpConn]> {
    using listener = Deno.listen({ hostname: THEIRS[family], port: 0 });
    const { port } = listener.addr;
    const [ours, theirs] = await Promise.all([
      this.net.connect({ hostname: THEIRS[family], port }),
      listener.accept(),
    ]);
    return [ours, theirs];
  }

  /** A connection that the kernel has opened, our end first. */
  async accept(family: 4 | 6 = 4): Promise<[TcpConn, Deno.TcpConn]> {
    using listener = this.net.listen({ port: 0 });
    const theirs = Deno.connect({ hostname: OURS[family], port: listener.addr.port });
    return [await listener.accept(), await theirs];
  }

  /** Sets our host's clock forward, in steps, so that timers run in between. */
  async skip(seconds: number, step = 1): Promise<void> {
    for (let left = seconds; left > 0; left -= step) {
      this.#ahead += 1_000 * Math.min(step, left);
      this.#turn();
      // Time for the kernel's answers.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** Delays what both ends send, until it is released. */
  hold(): void {
    this.#held = { out: [], in: [] };
  }

  release(): void {
    const { out, in: into } = this.#held!;
    this.#held = null;
    for (const packet of into) this.#arrive(packet);
    for (const packet of out) this.#leave(packet);
    this.#turn();
  }

  /** Puts a segment onto the wire towards us. */
  inject({ packet }: Segment): void {
    this.#arrive(packet);
    this.#turn();
  }

  #now(): number {
    return performance.now() + this.#ahead;
  }

  #wake(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#turn();
    });
  }

  #turn(): void {
    if (!this.#open) return;
    for (;;) {
      const length = this.#tun.read(this.#room, ROOM);
      if (length === 0) break;
      const packet = this.#wasm.memory.bytes.slice(this.#room, this.#room + length);
      const segment = asSegment(packet);
      if (segment) {
        this.seen.push(segment.flags);
        if (this.onGot(segment) === false) continue;
        if (this.#held) {
          this.#held.in.push(packet);
          continue;
        }
      }
      this.#arrive(packet);
    }
    this.host.settle();
    for (;;) {
      const length = this.host.read(this.#room, ROOM);
      if (length === 0) break;
      const packet = this.#wasm.memory.bytes.slice(this.#room, this.#room + length);
      const segment = asSegment(packet);
      if (segment) {
        this.sent.push(segment.flags);
        this.lastWindow = segment.window;
        if (this.onSent(segment) === false) continue;
        if (this.#held) {
          this.#held.out.push(packet);
          continue;
        }
      }
      this.#leave(packet);
    }
    this.host.settle();
    this.#epoll.rearm(this.#tun.fd);
    clearTimeout(this.#timer);
    const wait = this.host.deadline - this.#now();
    if (wait < 60_000) this.#timer = setTimeout(() => this.#turn(), Math.max(0, Math.ceil(wait)));
  }

  #arrive(packet: Uint8Array): void {
    const segment = asSegment(packet);
    if (segment) this.got.push(segment.flags);
    this.#wasm.memory.bytes.set(packet, this.#room);
    this.host.write(this.#room, packet.length);
  }

  #leave(packet: Uint8Array): void {
    this.#wasm.memory.bytes.set(packet, this.#room);
    this.#tun.write(this.#room, packet.length);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#open = false;
    this.net.close();
    clearTimeout(this.#timer);
    this.#epoll.close();
    await this.#epoll.ended;
    this.#tun.close();
  }
}

function asSegment(packet: Uint8Array): Segment | null {
  const v4 = packet[VIRTIO_HEADER]! >> 4 === 4;
  return packet[VIRTIO_HEADER + (v4 ? 9 : 6)] === 6 ? new Segment(packet) : null;
}
