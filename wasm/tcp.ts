/**
 * The typed interface of TCP in userspace: connections of one host, which exchanges packets with a tunnel.
 *
 * Data is written to and read from the module's memory in place: {@linkcode TcpStack.reserve} and {@linkcode
 * TcpStack.peek} return views. Any call may make memory grow, which replaces the views of {@linkcode Memory}. So every
 * call that changes something ends with {@linkcode TcpStack}'s `#done`.
 *
 * @module
 */

import type { Address, Memory } from "./memory.ts";
import { VIRTIO_HEADER } from "./packet.ts";

/** What the module exports for TCP; see `src/tcp_exports.rs`. */
export interface TcpExports {
  result_address(): number;
  tcp_new(secret: number, mtu: number, memory: number, connections: number): number;
  tcp_free(stack: number): void;
  tcp_add_address(stack: number, address: number, v6: number): void;
  tcp_receive(
    stack: number,
    origin: number,
    parts: number,
    count: number,
    skip: number,
    summed: number,
    now: number,
  ): number;
  tcp_transmit(stack: number, to: number, capacity: number, now: number): number;
  tcp_connect(stack: number, tuple: number, v6: number, now: number): number;
  tcp_listen(stack: number, port: number): number;
  tcp_unlisten(stack: number, port: number): void;
  tcp_accept(stack: number, port: number): number;
  tcp_peek(stack: number, id: number): number;
  tcp_consume(stack: number, id: number, length: number, now: number): void;
  tcp_reserve(stack: number, id: number): number;
  tcp_commit(stack: number, id: number, length: number): void;
  tcp_finish(stack: number, id: number): void;
  tcp_keep_alive(stack: number, id: number, on: number): void;
  tcp_abort(stack: number, id: number): void;
  tcp_release(stack: number, id: number, now: number): void;
  tcp_state(stack: number, id: number): number;
  tcp_endpoints(stack: number, id: number, to: number): number;
  tcp_event(stack: number): number;
  tcp_deadline(stack: number): number;
  tcp_expire(stack: number, now: number): void;
  tcp_icmp(stack: number, tuple: number, v6: number, seq: number, mtu: number, now: number): void;
  tcp_usage(stack: number): void;
}

/** Name of a connection. It is not reused soon. */
export type ConnectionId = number & { readonly brand?: "ConnectionId" };

/** Microseconds on a clock that never goes back. */
export type Microseconds = number & { readonly brand?: "Microseconds" };

/** {@linkcode TcpEvent.bits}: a connection that we opened is open. */
export const CONNECTED = 1;
/** {@linkcode TcpEvent.bits}: there are bytes to read, or the end of the stream. */
export const READABLE = 2;
/** {@linkcode TcpEvent.bits}: there is space for more bytes. */
export const WRITABLE = 4;
/** {@linkcode TcpEvent.bits}: the connection has failed; {@linkcode TcpState.failure} has the reason. */
export const ENDED = 8;

/** The events of a connection. */
export interface TcpEvent {
  readonly id: ConnectionId;
  readonly bits: number;
}

/** Why a connection failed. */
export type TcpFailure = "refused" | "reset" | "timed out" | "unreachable";

const FAILURES: readonly (TcpFailure | null)[] = [null, "refused", "reset", "timed out", "unreachable"];

/** Names of states, in the order of `connection::State`. */
const STATES = [
  "syn-sent",
  "syn-received",
  "established",
  "fin-wait-1",
  "fin-wait-2",
  "close-wait",
  "closing",
  "last-ack",
  "time-wait",
  "closed",
] as const;

/** The state of a connection. */
export interface TcpState {
  readonly state: typeof STATES[number];
  readonly failure: TcpFailure | null;
  /** Bytes that can be read now. */
  readonly readable: number;
  /** Bytes that may be written now, if enough memory is left. */
  readonly writable: number;
  /** Whether the peer has ended its stream and all of it was read. */
  readonly atEnd: boolean;
  /** Whether everything that was written has been acknowledged. */
  readonly flushed: boolean;
}

/** One end of a connection; 4 or 16 bytes of address. */
export interface TcpEndpoint {
  readonly address: Uint8Array;
  readonly port: number;
}

/** Why {@linkcode TcpStack.connect} did not open a connection. */
export type TcpRefusal = "in use" | "too many" | "unusable";

const REFUSALS: readonly TcpRefusal[] = ["in use", "too many", "unusable"];
/** Bytes of a 4-tuple in memory: both addresses with 16 bytes each and both ports, remote first. */
const TUPLE = 36;

/** The settings of a stack. */
export interface TcpOptions {
  /** 32 random bytes, which make sequence numbers unpredictable. They are copied, and wiped here. */
  readonly secret: Uint8Array;
  /** Our addresses, 4 or 16 bytes each. */
  readonly addresses: readonly Uint8Array[];
  /** Bytes of the longest IP packet. */
  readonly mtu: number;
  /** Bytes that all buffers may use together. */
  readonly memory: number;
  /** The most connections at once. */
  readonly connections: number;
}

/** All TCP connections of one host. */
export class TcpStack {
  readonly #exports: TcpExports;
  readonly #memory: Memory;
  readonly #stack: number;
  readonly #results: Address;
  readonly #tuple: Address;
  /** A list of one part, for contiguous packets. */
  readonly #part: Address;

  constructor(
    exports: TcpExports,
    memory: Memory,
    { secret, addresses, mtu, memory: budget, connections }: TcpOptions,
  ) {
    this.#exports = exports;
    this.#memory = memory;
    this.#results = exports.result_address();
    this.#tuple = memory.allocate(TUPLE);
    this.#part = memory.allocate(8);
    memory.bytes.set(secret.subarray(0, 32), this.#tuple);
    this.#stack = exports.tcp_new(this.#tuple, mtu, budget, connections);
    memory.refresh();
    memory.bytes.fill(0, this.#tuple, this.#tuple + 32);
    for (const address of addresses) {
      memory.bytes.set(address, this.#tuple);
      exports.tcp_add_address(this.#stack, this.#tuple, address.length === 16 ? 1 : 0);
    }
    memory.refresh();
  }

  /**
   * Handles a packet in parts, as `openBatch` lists them.
   *
   * @param origin The address to which the offsets of the parts are relative.
   * @param parts Address of a list of `count` pairs: offset and length. The first part begins with a virtio header.
   * @param summed Whether its checksum was verified, as for all joined packets.
   * @returns Whether it was a TCP segment for one of our addresses.
   */
  receive(origin: Address, parts: Address, count: number, summed: boolean, now: Microseconds): boolean {
    const { tcp_receive } = this.#exports;
    return this.#done(
      tcp_receive(this.#stack, origin, parts, count, VIRTIO_HEADER, summed ? 1 : 0, now),
    ) !== 0;
  }

  /** Handles a contiguous packet behind a virtio header. */
  receiveWhole(at: Address, length: number, summed: boolean, now: Microseconds): boolean {
    const { words } = this.#memory;
    words[this.#part >> 2] = 0;
    words[(this.#part >> 2) + 1] = length;
    return this.receive(at, this.#part, 1, summed, now);
  }

  /**
   * Writes the next packet that is due, beginning with its virtio header.
   *
   * @param capacity At least 65,545 bytes.
   * @returns Bytes written; 0 if nothing is due.
   */
  transmit(at: Address, capacity: number, now: Microseconds): number {
    return this.#done(this.#exports.tcp_transmit(this.#stack, at, capacity, now));
  }

  /** Opens a connection. It is open when {@linkcode event} reports this. */
  connect(local: TcpEndpoint, remote: TcpEndpoint, now: Microseconds): ConnectionId | TcpRefusal {
    this.#putTuple(local, remote);
    const id = this.#done(this.#exports.tcp_connect(this.#stack, this.#tuple, v6(remote), now));
    return REFUSALS[id - 1] ?? id;
  }

  /** Begins to accept connections to a port. @returns False if the port is already in use. */
  listen(port: number): boolean {
    return this.#done(this.#exports.tcp_listen(this.#stack, port)) !== 0;
  }

  /** Stops accepting. Connections that were not accepted are reset. */
  unlisten(port: number): void {
    this.#done(this.#exports.tcp_unlisten(this.#stack, port));
  }

  /** The next open connection to a port. */
  accept(port: number): ConnectionId | null {
    return this.#done(this.#exports.tcp_accept(this.#stack, port)) || null;
  }

  /** The next bytes to read, as a view that is valid until the next call. */
  peek(id: ConnectionId): Uint8Array<ArrayBuffer> {
    const length = this.#exports.tcp_peek(this.#stack, id);
    const at = this.#result(0);
    return this.#memory.bytes.subarray(at, at + length);
  }

  /** Reports that bytes were read. */
  consume(id: ConnectionId, bytes: number, now: Microseconds): void {
    this.#done(this.#exports.tcp_consume(this.#stack, id, bytes, now));
  }

  /** Memory for bytes to send, as a view that is valid until the next call; empty if there is no space. */
  reserve(id: ConnectionId): Uint8Array<ArrayBuffer> {
    const length = this.#done(this.#exports.tcp_reserve(this.#stack, id));
    const at = this.#result(0);
    return this.#memory.bytes.subarray(at, at + length);
  }

  /** Reports that bytes were written to the view of {@linkcode reserve}. */
  commit(id: ConnectionId, bytes: number): void {
    this.#done(this.#exports.tcp_commit(this.#stack, id, bytes));
  }

  /** Ends our stream after all of it has been sent. */
  finish(id: ConnectionId): void {
    this.#done(this.#exports.tcp_finish(this.#stack, id));
  }

  /** Turns keep-alives on or off: whether a peer that has been silent for two hours is probed. */
  keepAlive(id: ConnectionId, on: boolean): void {
    this.#done(this.#exports.tcp_keep_alive(this.#stack, id, on ? 1 : 0));
  }

  /** Ends the connection at once; the peer gets a reset. */
  abort(id: ConnectionId): void {
    this.#done(this.#exports.tcp_abort(this.#stack, id));
  }

  /** Releases a connection. Its name becomes invalid, and data that was written is still sent. */
  release(id: ConnectionId, now: Microseconds): void {
    this.#done(this.#exports.tcp_release(this.#stack, id, now));
  }

  /** The state of a connection; null if there is none with this name. */
  state(id: ConnectionId): TcpState | null {
    if (this.#exports.tcp_state(this.#stack, id) === 0) return null;
    return {
      state: STATES[this.#result(0)]!,
      failure: FAILURES[this.#result(1)]!,
      readable: this.#result(2),
      writable: this.#result(3),
      atEnd: this.#result(4) !== 0,
      flushed: this.#result(5) !== 0,
    };
  }

  /** Both ends of a connection; null if there is none with this name. */
  endpoints(id: ConnectionId): { local: TcpEndpoint; remote: TcpEndpoint } | null {
    const family = this.#exports.tcp_endpoints(this.#stack, id, this.#tuple);
    if (family === 0) return null;
    const { bytes, view } = this.#memory;
    const end = (at: Address, port: Address): TcpEndpoint => ({
      address: bytes.slice(at, at + (family === 4 ? 4 : 16)),
      port: view.getUint16(port, true),
    });
    return {
      remote: end(this.#tuple, this.#tuple + 32),
      local: end(this.#tuple + 16, this.#tuple + 34),
    };
  }

  /**
   * The next event; null if there is none. Must be called until it returns null after each call that changes something.
   */
  event(): TcpEvent | null {
    const id = this.#done(this.#exports.tcp_event(this.#stack));
    return id === 0 ? null : { id, bits: this.#result(0) };
  }

  /** When to call {@linkcode expire}; infinity if nothing is due. */
  get deadline(): Microseconds {
    return this.#exports.tcp_deadline(this.#stack);
  }

  /** Handles the timers that are due. */
  expire(now: Microseconds): void {
    this.#done(this.#exports.tcp_expire(this.#stack, now));
  }

  /**
   * An ICMP error quotes a segment that we sent.
   *
   * @param seq Its sequence number.
   * @param mtu The MTU of the path, if the error says that the packet was too long; else 0.
   */
  icmp(local: TcpEndpoint, remote: TcpEndpoint, seq: number, mtu: number, now: Microseconds): void {
    this.#putTuple(local, remote);
    this.#done(this.#exports.tcp_icmp(this.#stack, this.#tuple, v6(remote), seq, mtu, now));
  }

  /** The number of connections, including those in TIME-WAIT, and bytes in buffers. */
  get usage(): { connections: number; bytes: number } {
    this.#exports.tcp_usage(this.#stack);
    return { connections: this.#result(0), bytes: this.#result(1) };
  }

  /** Removes everything. The stack must not be used afterwards. */
  free(): void {
    this.#exports.tcp_free(this.#stack);
  }

  /** Replaces the views if the call has made memory grow. @returns The result of the call. */
  #done<Result>(result: Result): Result {
    this.#memory.refresh();
    return result;
  }

  #putTuple(local: TcpEndpoint, remote: TcpEndpoint): void {
    const { bytes, view } = this.#memory;
    bytes.set(remote.address, this.#tuple);
    bytes.set(local.address, this.#tuple + 16);
    view.setUint16(this.#tuple + 32, remote.port, true);
    view.setUint16(this.#tuple + 34, local.port, true);
  }

  #result(index: number): number {
    return this.#memory.words[(this.#results >> 2) + index]!;
  }
}

function v6({ address }: TcpEndpoint): number {
  return address.length === 16 ? 1 : 0;
}
