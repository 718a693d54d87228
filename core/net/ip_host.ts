/**
 * A host inside this process. Its TCP, UDP and ICMP receive the packets of a tunnel, and what they send goes into the tunnel.
 * It takes the place of a TUN device (`core/engine/doors.ts`) and does not use the machine's own network.
 *
 * @module
 */

import type { PacketDevice } from "../engine/doors.ts";
import type { Memory, Wasm } from "../../wasm/mod.ts";
import {
  CONNECTED,
  type ConnectionId,
  type Microseconds,
  type TcpRefusal,
  type TcpStack,
} from "../../wasm/tcp.ts";
import { Icmp } from "./icmp.ts";
import {
  type Endpoint,
  ICMP_HEADER,
  icmpIsSound,
  parseIp,
  PROTOCOL_ICMP,
  PROTOCOL_ICMPV6,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  VIRTIO_HEADER,
} from "./ip.ts";
import { sourceAddress } from "./source_address.ts";
import { Udp } from "./udp.ts";

/** Options of a host. */
export interface IpHostOptions {
  /** Its addresses, 4 or 16 bytes each. */
  readonly addresses: readonly Uint8Array[];
  /** Bytes of the longest IP packet. */
  readonly mtu: number;
  /** The most bytes that the buffers of all connections may take together. */
  readonly maxMemory: number;
  /** The most TCP connections at once. */
  readonly maxConnections: number;
  /** Fills an array with random bytes. */
  readonly random: (out: Uint8Array) => void;
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
  /** Called when the engine should take a turn: it can read something, or the deadline has changed. */
  readonly wake: () => void;
}

/** Gets the events of a connection. */
export interface ConnectionEvents {
  /** @param bits Those of `wasm/tcp.ts`. */
  handle(bits: number): void;
}

/** Called when a connection may wait to be accepted. */
export type ListenerEvents = () => void;

/** Why packets were dropped here. */
export interface IpHostDrops {
  /** Not for one of our addresses. */
  notOurs: number;
  /** Fragments and incomplete IP packets. */
  malformed: number;
  /** Of other protocols than TCP, UDP and ICMP. */
  unknownProtocol: number;
  /** Datagrams and ICMP messages with a wrong checksum. */
  badChecksum: number;
  /** Datagrams for closed ports. */
  closedPort: number;
  /** Datagrams and ICMP messages beyond the limit of waiting bytes. */
  queueFull: number;
}

/** The most bytes of datagrams and ICMP messages that wait for the engine. */
const MAX_QUEUED = 1 << 20;
/** The range from which ports are chosen (RFC 6056 §3.2). */
const FIRST_PORT = 49_152;
const PORTS = 65_536 - FIRST_PORT;
const NEEDS_CSUM = 1;

/** A host in userspace. */
export class IpHost implements PacketDevice {
  /** Packets dropped here, by reason. */
  readonly drops: IpHostDrops = {
    notOurs: 0,
    malformed: 0,
    unknownProtocol: 0,
    badChecksum: 0,
    closedPort: 0,
    queueFull: 0,
  };
  /** UDP of this host. */
  readonly udp: Udp;
  readonly readErrors = 0;
  readonly writeErrors = 0;
  readonly #options: IpHostOptions;
  readonly #memory: Memory;
  readonly #tcp: TcpStack;
  readonly #connections = new Map<ConnectionId, ConnectionEvents>();
  readonly #listeners = new Map<number, ListenerEvents>();
  readonly #icmp: Icmp;
  /** Datagrams and ICMP messages that wait for the engine, whole with their virtio headers. */
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #hasOutput = false;

  constructor(wasm: Wasm, options: IpHostOptions) {
    this.#options = options;
    this.#memory = wasm.memory;
    const secret = new Uint8Array(32);
    options.random(secret);
    this.#tcp = wasm.tcp({
      secret,
      addresses: options.addresses,
      mtu: options.mtu,
      memory: options.maxMemory,
      connections: options.maxConnections,
    });
    secret.fill(0);
    const packets = {
      enqueue: (length: number, write: (out: Uint8Array) => void) => this.#enqueue(length, write),
      addressFor: (remote: Uint8Array) => sourceAddress(options.addresses, remote),
    };
    this.#icmp = new Icmp({
      ...packets,
      random16: () => this.#random16(),
      now: options.now,
      segmentFailed: (local, remote, seq, mtu) => this.#tcp.icmp(local, remote, seq, mtu, this.#now()),
      datagramFailed: (port, remote) => this.udp.failed(port, remote),
    });
    this.udp = new Udp({
      ...packets,
      mtu: options.mtu,
      somePorts: () => this.#somePorts(),
      portUnreachable: (packet, bytes) => this.#icmp.portUnreachable(packet, bytes),
      drops: this.drops,
    });
  }

  // The engine's side: a packet device

  /** Whether there may be something to read. */
  get hasOutput(): boolean {
    return this.#hasOutput;
  }

  read(at: number, capacity: number): number {
    const packet = this.#queue.shift();
    if (packet === undefined) {
      const length = this.#tcp.transmit(at, capacity, this.#now());
      this.#hasOutput = length > 0;
      return length;
    }
    this.#queuedBytes -= packet.length;
    this.#memory.bytes.set(packet, at);
    return packet.length;
  }

  write(at: number, length: number): number {
    const { bytes } = this.#memory;
    const ip = at + VIRTIO_HEADER;
    const protocol = bytes[ip]! >>> 4 === 4 ? bytes[ip + 9] : bytes[ip + 6];
    if (protocol === PROTOCOL_TCP) {
      const summed = (bytes[at]! & NEEDS_CSUM) !== 0;
      if (!this.#tcp.receiveWhole(at, length, summed, this.#now())) this.drops.malformed++;
      this.#hasOutput = true;
    } else {
      this.#receive(bytes.subarray(ip, at + length));
    }
    return 0;
  }

  writeParts(origin: number, parts: number, count: number): number {
    // Only TCP is joined for us: see `UserLink.offloads`.
    if (!this.#tcp.receive(origin, parts, count, true, this.#now())) this.drops.malformed++;
    this.#hasOutput = true;
    return 0;
  }

  /**
   * Reports the events since the last call and runs the timers that are due. Called after each turn of the engine.
   *
   * @returns Whether a connection has opened. Its acknowledgement should not wait for the next turn.
   */
  settle(): boolean {
    const now = this.#now();
    let opened = false;
    if (this.#tcp.deadline <= now) {
      this.#tcp.expire(now);
      this.#hasOutput = true;
    }
    for (let event = this.#tcp.event(); event !== null; event = this.#tcp.event()) {
      this.#connections.get(event.id)?.handle(event.bits);
      if (event.bits & CONNECTED) opened = true;
    }
    for (const accept of this.#listeners.values()) accept();
    return opened;
  }

  /** When to call `settle` at the latest, in milliseconds on the clock; Infinity if no timer is armed. */
  get deadline(): number {
    return this.#tcp.deadline / 1_000;
  }

  /** The number of connections, and the bytes in their buffers. */
  get usage(): { connections: number; bytes: number } {
    return this.#tcp.usage;
  }

  // TCP

  /**
   * Opens a connection.
   *
   * @param events Get to know when it is open, has bytes, has room, or has failed.
   * @throws {RangeError} If we have no address of the remote one's family.
   */
  connect(remote: Endpoint, events: ConnectionEvents): ConnectionId | TcpRefusal {
    const address = sourceAddress(this.#options.addresses, remote.address);
    for (const port of this.#somePorts()) {
      const id = this.#tcp.connect({ address, port }, remote, this.#now());
      if (id === "in use") continue;
      if (typeof id === "number") {
        this.#connections.set(id, events);
        this.#wake();
      }
      return id;
    }
    return "in use";
  }

  /** Begins to listen. @param events Called when connections may wait. @returns False if the port has a listener already. */
  listen(port: number, events: ListenerEvents): boolean {
    if (!this.#tcp.listen(port)) return false;
    this.#listeners.set(port, events);
    return true;
  }

  unlisten(port: number): void {
    this.#tcp.unlisten(port);
    this.#listeners.delete(port);
    this.#wake();
  }

  /** A port without a listener. */
  freeListenPort(): number {
    for (const port of this.#somePorts()) if (!this.#listeners.has(port)) return port;
    throw new RangeError("all ports are taken");
  }

  /** Takes a connection to a listening port. Its events are for whoever calls {@linkcode attend}. */
  accept(port: number): ConnectionId | null {
    return this.#tcp.accept(port);
  }

  /** From now on, the events of a connection are for this. */
  attend(id: ConnectionId, events: ConnectionEvents): void {
    this.#connections.set(id, events);
  }

  /** The connections, to read, write and end them. {@linkcode flush} sends the result. */
  get tcp(): TcpStack {
    return this.#tcp;
  }

  /** The time in the unit of `tcp`. */
  get now(): Microseconds {
    return this.#now();
  }

  /** Makes the engine send what was written, acknowledged and ended. */
  flush(): void {
    this.#wake();
  }

  /** Releases a connection. No more events of it are reported. */
  release(id: ConnectionId): void {
    this.#connections.delete(id);
    this.#tcp.release(id, this.#now());
    this.#wake();
  }

  // ICMP

  /** Sends an echo request; `answered` gets the data of the answer. @returns A function that stops waiting. */
  ping(to: Uint8Array, sequence: number, data: Uint8Array, answered: (data: Uint8Array) => void): () => void {
    return this.#icmp.ping(to, sequence, data, answered);
  }

  // Packets in

  #receive(bytes: Uint8Array): void {
    const packet = parseIp(bytes);
    if (packet === null) {
      this.drops.malformed++;
    } else if (!this.#options.addresses.some((address) => equal(address, packet.destination))) {
      this.drops.notOurs++;
    } else if (packet.protocol === PROTOCOL_UDP) {
      this.udp.receive(packet, bytes);
    } else if (packet.protocol === (packet.family === 4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6)) {
      if (packet.payload.length >= ICMP_HEADER && icmpIsSound(packet)) this.#icmp.receive(packet);
      else this.drops.badChecksum++;
    } else {
      this.drops.unknownProtocol++;
    }
  }

  // Inside

  #enqueue(length: number, write: (out: Uint8Array) => void): boolean {
    if (this.#queuedBytes + length > MAX_QUEUED) {
      this.drops.queueFull++;
      return false;
    }
    const packet = new Uint8Array(length);
    write(packet);
    this.#queue.push(packet);
    this.#queuedBytes += length;
    this.#wake();
    return true;
  }

  #wake(): void {
    this.#hasOutput = true;
    this.#options.wake();
  }

  #now(): Microseconds {
    return this.#options.now() * 1_000;
  }

  #random16(): number {
    const bytes = new Uint8Array(2);
    this.#options.random(bytes);
    return bytes[0]! << 8 | bytes[1]!;
  }

  /** All ports for our end, beginning with a random one. */
  *#somePorts(): Generator<number> {
    const first = this.#random16() % PORTS;
    for (let i = 0; i < PORTS; i++) yield FIRST_PORT + (first + i) % PORTS;
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
