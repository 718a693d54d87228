/**
 * Two engines' packet paths connected to each other. A test can make their TUN device and socket refuse anything.
 *
 * @module
 */

import { type EndpointWords, endpointWords } from "../../../core/protocol/endpoint.ts";
import { Device } from "../../../core/protocol/device.ts";
import { Features } from "../../../core/engine/features.ts";
import { Handshakes } from "../../../core/engine/handshakes.ts";
import { socketReadable } from "../../../core/engine/inbound.ts";
import { flush, tunReadable } from "../../../core/engine/outbound.ts";
import { PacketPath } from "../../../core/engine/path.ts";
import type { DatagramSocket, PacketDevice } from "../../../core/engine/doors.ts";
import { Errno } from "../../../core/uapi/errno.ts";
import { parseSocketAddress } from "../../../core/config/endpoint.ts";
import { parsePrefix } from "../../../core/config/prefix.ts";
import type { Milliseconds, Now } from "../../../core/protocol/clock.ts";
import { JOIN_TCP, JOIN_UDP } from "../../../wasm/instance.ts";
import { Wasm } from "../../../wasm/mod.ts";
import { VIRTIO_HEADER } from "../../../wasm/packet.ts";

/** A device that stores what is written to it. */
export class KeptPackets implements PacketDevice {
  /** The results of the next reads, beginning with their virtio headers. */
  readonly waiting: Uint8Array[] = [];
  readErrors = 0;
  writeErrors = 0;
  /** The accepted writes. */
  readonly written: Uint8Array[] = [];
  /** The errno of a write; 0 accepts it. `parts` is 1 for a packet that is not joined. */
  refuse: (packet: Uint8Array, parts: number) => number = () => 0;

  /** Only lanes use this. */
  readonly fd = 3;
  /** Memory at an address of packet memory, if it may be a lane's. */
  at: (address: number, length: number) => Uint8Array = (address, length) =>
    this.wasm.memory.bytes.subarray(address, address + length);

  constructor(readonly wasm: Wasm) {}

  read(at: number, _capacity: number): number {
    const packet = this.waiting.shift();
    if (!packet) return 0;
    this.at(at, packet.length).set(packet);
    return packet.length;
  }

  write(at: number, length: number): number {
    return this.take(this.wasm.memory.bytes.slice(at, at + length), 1);
  }

  writeParts(origin: number, parts: number, count: number): number {
    const { bytes, view } = this.wasm.memory;
    const packet: number[] = [];
    for (let i = 0; i < count; i++) {
      const at = origin + view.getUint32(parts + 8 * i, true);
      packet.push(...bytes.subarray(at, at + view.getUint32(parts + 8 * i + 4, true)));
    }
    return this.take(Uint8Array.from(packet), count);
  }

  /** Accepts or refuses a packet. */
  take(packet: Uint8Array, parts: number): number {
    const errno = this.refuse(packet, parts);
    if (errno === 0) this.written.push(packet);
    return errno;
  }
}

/** A socket whose trains arrive at the other one as they are. */
class Wire implements DatagramSocket {
  readonly from: EndpointWords;
  segment = 0;
  tos = 0;
  crowded = false;
  refused = 0;
  /** The number of refused datagrams, for a given number. */
  refuses: (datagrams: number) => number = () => 0;
  readonly family = 4;
  readonly errors = 0;
  readonly memory = { received: 0, receiveBound: 0, sent: 0, sendBound: 0, drops: 0 };
  other: Wire | null = null;
  readonly inbox: { bytes: Uint8Array; segment: number }[] = [];

  constructor(readonly wasm: Wasm, otherAddress: EndpointWords) {
    this.from = otherAddress;
  }

  receive(at: number, _capacity: number): number {
    const train = this.inbox.shift();
    if (!train) return 0;
    this.wasm.memory.bytes.set(train.bytes, at);
    this.segment = train.segment;
    return train.bytes.length;
  }

  send(_to: EndpointWords, at: number, length: number, segment: number, _tos: number): number {
    this.refused = this.refuses(segment === 0 ? 1 : Math.ceil(length / segment));
    if (this.refused > 0) return -Errno.ENOBUFS;
    const bytes = this.wasm.memory.bytes.slice(at, at + length);
    this.other!.inbox.push({ bytes, segment: segment || length });
    return 0;
  }
}

/** One of the two ends. */
export class End {
  readonly wasm = new Wasm();
  readonly tun = new KeptPackets(this.wasm);
  readonly log: string[] = [];
  readonly features = new Features([], (message) => this.log.push(message));
  readonly device = new Device({
    crypto: this.wasm,
    keypairs: this.wasm,
    random: (out) => crypto.getRandomValues(out as Uint8Array<ArrayBuffer>),
  });
  readonly path = new PacketPath(this.device, this.wasm, this.tun, this.features, JOIN_TCP | JOIN_UDP);
  readonly handshakes = new Handshakes(this.path);
  readonly socket: Wire;

  constructor(otherAddress: EndpointWords) {
    this.socket = new Wire(this.wasm, otherAddress);
    this.path.sockets.v4 = this.socket;
  }

  /** One turn. */
  turn(now: Now): void {
    tunReadable(this.path, now);
    socketReadable(this.path, this.socket, this.handshakes, now);
    this.handshakes.turn(now, () => now.boot);
    flush(this.path, now);
  }
}

/** Both ends, with a session between them. */
export class BenchPair {
  readonly now: Now = { boot: 1_000_000 as Milliseconds, wall: 1_700_000_000_000_000_000n };
  readonly near: End;
  readonly far: End;

  constructor() {
    const address = (text: string) => endpointWords(parseSocketAddress(text)!);
    const [nearAddress, farAddress] = [address("192.0.2.1:1"), address("192.0.2.2:2")];
    this.near = new End(farAddress);
    this.far = new End(nearAddress);
    this.near.socket.other = this.far.socket;
    this.far.socket.other = this.near.socket;
    for (const end of [this.near, this.far]) {
      end.device.setPrivateKey(crypto.getRandomValues(new Uint8Array(32)), this.now);
      end.device.up(this.now);
    }
    for (
      const [end, other, network, endpoint] of [
        [this.near, this.far, "10.0.0.2/32", farAddress],
        [this.far, this.near, "10.0.0.1/32", nearAddress],
      ] as const
    ) {
      const peer = end.device.addPeer(other.device.publicKey!)!;
      end.device.setEndpoint(peer, endpoint);
      end.device.insertAllowedIp(peer, parsePrefix(network)!);
    }
    this.settle();
  }

  /** Runs turns of both until no packet is in transit. */
  settle(): void {
    for (let i = 0; i < 8; i++) {
      this.near.turn(this.now);
      this.far.turn(this.now);
    }
  }

  /** Passes super-packets to the near end and lets them arrive. */
  send(...packets: Uint8Array[]): void {
    this.near.tun.waiting.push(...packets);
    this.settle();
  }
}

/** A TCP or UDP super-packet from 10.0.0.1 to 10.0.0.2, in the kernel's form. */
export function superPacket(
  protocol: "tcp" | "udp",
  payload: number,
  size: number,
  port = 5_000,
): Uint8Array {
  const transport = protocol === "tcp" ? 20 : 8;
  const headers = 20 + transport;
  const bytes = new Uint8Array(VIRTIO_HEADER + headers + payload);
  const view = new DataView(bytes.buffer);
  bytes.set([1, protocol === "tcp" ? 1 : 5]);
  [headers, size, 20, protocol === "tcp" ? 16 : 6].forEach((value, i) =>
    view.setUint16(2 + 2 * i, value, true)
  );
  const ip = VIRTIO_HEADER;
  bytes.set([0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol === "tcp" ? 6 : 17], ip);
  view.setUint16(ip + 2, headers + payload);
  bytes.set([10, 0, 0, 1, 10, 0, 0, 2], ip + 12);
  view.setUint16(ip + 20, port);
  view.setUint16(ip + 22, 80);
  if (protocol === "tcp") bytes.set([0x50, 0x10], ip + 32);
  else view.setUint16(ip + 24, transport + payload);
  for (let i = 0; i < payload; i++) bytes[ip + headers + i] = i * 7;
  return bytes;
}
