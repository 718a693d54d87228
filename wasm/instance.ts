/**
 * Instances of the WebAssembly module: sessions and batches of packets. Packets and keypairs are addressed where they
 * are. This file does not import the module's text, because a lane receives the compiled module from its engine.
 *
 * @module
 */

import type { Exports } from "./exports.ts";
import { HandshakeCrypto } from "./handshake.ts";
import { type Address, Memory } from "./memory.ts";
import { VIRTIO_HEADER } from "./packet.ts";
import { type Opened, openedAt, type Sealed, sealedAt } from "./results.ts";

/** Address of a session's keys. */
export type Slot = number;

/** `openBatch`: the outer header has "congestion experienced" (RFC 3168). */
export const CONGESTED = 1;
/** `openBatch`: TCP packets of a flow may be joined. */
export const JOIN_TCP = 2;
/** `openBatch`: UDP packets of a flow may be joined. */
export const JOIN_UDP = 4;

/** Bytes of a slot that other instances need: both keys and the peer's index. */
export const SLOT_BYTES = 68;
/** Bytes of a replay window. */
export const WINDOW_BYTES = 8 + 1_024;
/** The maximum number of datagrams that are opened in steps. */
export const MAX_FOUND = 128;

/** An instance of the module with its own memory. */
export class Instance extends HandshakeCrypto {
  /** Results of the last `sealBatch`. */
  readonly sealed: Sealed;
  /** Results of the last `openBatch`. */
  readonly opened: Opened;
  /** Word offset of the packets that `openBatch` lists. */
  readonly #entries: number;
  /** Word offset of their parts. */
  readonly #parts: number;
  /** Word offset of the results of the last call. */
  readonly #result: number;
  /** The address of the datagrams of the last `openBatch`. */
  #from: Address = 0;
  #length = 0;

  /** @param module A compiled build. Threads can share it. */
  constructor(readonly module: WebAssembly.Module) {
    const exports = new WebAssembly.Instance(module).exports as unknown as Exports;
    super(exports, new Memory(exports));
    this.#result = this.exports.result_address() / 4;
    this.#entries = this.exports.entries_address() / 4;
    this.#parts = this.exports.parts_address() / 4;
    this.sealed = sealedAt(this.memory, this.#result);
    this.opened = openedAt(this.memory, this.#result);
  }

  /** Stores a session's keys. */
  install(sendKey: Uint8Array, receiveKey: Uint8Array, remoteIndex: number): Slot {
    const slot = this.exports.keypair_new(
      this.scratch.put(sendKey),
      this.scratch.put(receiveKey),
      remoteIndex,
    );
    // Called before any other use of memory, because a new slot may have grown it.
    this.memory.refresh();
    this.scratch.wipe();
    return slot;
  }

  /** Erases a session's keys. */
  forget(slot: Slot): void {
    this.exports.keypair_free(slot);
    // The cipher's copy of the key.
    this.exports.wipe_stack();
  }

  /**
   * Reserves counters of a session for another instance.
   *
   * @param into Receives the first counter, low word first, and the flags of {@linkcode Sealed}.
   * @returns False if too few counters are left.
   */
  reserve(slot: Slot, count: number, into: Uint32Array): boolean {
    if (this.exports.keypair_reserve(slot, count) === 0) return false;
    const { words } = this.memory;
    for (let i = 0; i < 3; i++) into[i] = words[this.#result + i]!;
    return true;
  }

  /** Gives a copy of a session the counters that the instance of the original has reserved. It uses no others. */
  borrow(slot: Slot, low: number, high: number, count: number): void {
    this.exports.keypair_borrow(slot, low, high, count);
  }

  /** The address of a session's replay window of `WINDOW_BYTES`. */
  windowOf(slot: Slot): Address {
    const at = this.exports.keypair_window(slot);
    this.memory.refresh();
    return at;
  }

  /** Erases parts of keys that calls left on the stack. */
  wipeStack(): void {
    this.exports.wipe_stack();
  }

  /** Moves a session's counter forward, for tests. */
  skipTo(slot: Slot, counter: bigint): void {
    this.exports.keypair_skip(slot, Number(counter & 0xffffffffn), Number(counter >> 32n));
  }

  /**
   * Seals a packet or super-packet into a train of datagrams.
   *
   * @param from The packet, beginning with its virtio header; `length` bytes in total.
   * @param to Where the datagrams are written, one after the other, at most `capacity` bytes.
   * @param mtu Interface MTU in bytes, which padding does not exceed; 0 for no limit.
   * @param first Number of the first datagram to make, for a packet that did not fit in the last call.
   * @param maxSegments The most datagrams to make.
   * @returns The number of datagrams; `sealed` has the other results.
   */
  sealBatch(
    slot: Slot,
    from: Address,
    length: number,
    to: Address,
    capacity: number,
    mtu: number,
    first: number,
    maxSegments: number,
  ): number {
    return this.exports.seal_batch(slot, from, length, to, capacity, mtu, first, maxSegments);
  }

  /**
   * Counts the packets that a super-packet becomes.
   *
   * @param from The packet, beginning with its virtio header; `length` bytes in total.
   * @returns Their number; 1 for an invalid packet.
   */
  packetCount(from: Address, length: number): number {
    return this.exports.packet_count(from, length);
  }

  /** Seals an empty packet into 32 bytes. @returns 32, or 0 if the key's counter is spent. */
  sealKeepalive(slot: Slot, to: Address): number {
    return this.exports.seal_keepalive(slot, to);
  }

  /**
   * Opens a train of datagrams of one session in place. Packets of one flow are joined, even if other packets are
   * between them. The order within a flow stays.
   *
   * @param from The datagrams, `stride` bytes each except the last; `length` bytes in total, at most 65,535.
   * @param flags `CONGESTED`, `JOIN_TCP`, `JOIN_UDP`.
   * @returns The number of packets; `opened`, `packetParts` and related functions have the other results until the next
   * call.
   */
  openBatch(slot: Slot, from: Address, length: number, stride: number, flags: number): number {
    this.#from = from;
    this.#length = length;
    const packets = this.exports.open_batch(slot, from, length, stride, flags);
    // A session's replay window is allocated with its first packet, which may grow the memory.
    this.memory.refresh();
    return packets;
  }

  /** The address of the replay window of `WINDOW_BYTES` that {@linkcode admit} uses. */
  get window(): Address {
    return this.exports.window_address();
  }

  /**
   * The first of three steps that together do what `openBatch` does, for a session whose replay window is not in this
   * memory: opens a train of at most `MAX_FOUND` datagrams.
   *
   * @returns How many of them are authentic.
   */
  authenticate(slot: Slot, from: Address, length: number, stride: number): number {
    this.#from = from;
    this.#length = length;
    return this.exports.authenticate(slot, from, length, stride);
  }

  /** The second step: marks the authentic datagrams in the window at `window`. @returns How many of them are new. */
  admit(): number {
    return this.exports.admit();
  }

  /** The third step: joins what is new. @returns As `openBatch`. */
  join(flags: number): number {
    return this.exports.join_batch(this.#from, this.#length, flags);
  }

  /** The number of received packets of which the i-th packet consists. Each is one part. The first has all headers. */
  packetParts(i: number): number {
    return this.memory.words[this.#entries + 2 * i + 1]!;
  }

  /**
   * The address of a list of the i-th packet's parts: offset from the first datagram, and length, in two words each.
   */
  partsAddress(i: number): Address {
    return 4 * (this.#parts + 2 * this.memory.words[this.#entries + 2 * i]!);
  }

  /** The address of a part. The default is the first, which begins with the virtio header. */
  partAddress(i: number, part = 0): Address {
    return this.#from + this.memory.words[this.#part(i, part)]!;
  }

  /** Bytes of a part. */
  partLength(i: number, part = 0): number {
    return this.memory.words[this.#part(i, part) + 1]!;
  }

  /** Undoes the joining of the i-th packet: each of its parts becomes a packet again, behind a virtio header. */
  separate(i: number): void {
    this.exports.separate(this.#from, this.#length, i);
  }

  /**
   * Undoes the joining of a packet that another instance joined. Its first part was copied to this memory.
   *
   * @returns The number of bytes before each other part that belong to it.
   */
  separateAlone(at: Address, length: number): number {
    const { view, words } = this.memory;
    const left = VIRTIO_HEADER + view.getUint16(at + 2, true);
    words.set([0, 1], this.#entries);
    words.set([0, length], this.#parts);
    this.exports.separate(at, length, 0);
    return left;
  }

  #part(i: number, part: number): number {
    return this.#parts + 2 * (this.memory.words[this.#entries + 2 * i]! + part);
  }
}
