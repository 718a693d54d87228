/**
 * The lane's side of jobs to decrypt and write.
 *
 * @module
 */

import type { Instance } from "../../../wasm/instance.ts";
import { VIRTIO_HEADER } from "../../../wasm/packet.ts";
import { AllowedIps, type TrieMemory } from "../../protocol/allowed_ips.ts";
import { Errno } from "../../uapi/errno.ts";
import type { Outlet } from "../doors.ts";
import { joinedProtocol } from "../joining.ts";
import {
  type Board,
  BoardWord,
  IN,
  Job,
  MAX_OPENED,
  NO_HANDLE,
  Open,
  OpenSection,
  PACKET_WORDS,
  Section,
} from "./board.ts";
import { keyAt, OUTER_BYTES, slotAt, TRAIN_BYTES } from "./slots.ts";

/** The current location of the engine's trie of allowed IPs. */
class SharedTrie implements TrieMemory {
  array: Uint32Array = new Uint32Array(64);
  #address = 0;

  constructor(readonly board: Board, readonly outlet: Outlet) {}

  grow(): void {}

  /** Updates the location if the engine's words have moved. They do not change during a job. */
  follow(): void {
    const { unsigned } = this.board;
    const address = unsigned[BoardWord.trieHigh]! * 2 ** 32 + unsigned[BoardWord.trieLow]!;
    const length = unsigned[BoardWord.trieLength]!;
    if (address === this.#address && length === this.array.length) return;
    this.array = new Uint32Array(this.outlet.map(address, 4 * length));
    this.#address = address;
  }
}

/** Decrypts and writes. */
export class OpenJobs {
  readonly #trieMemory: SharedTrie;
  readonly #trie: AllowedIps;
  readonly #slots: number;
  readonly #keys: number;
  /** A buffer for the headers of a packet that is split again. */
  readonly #scratch: number;

  /** @param slots Where the lane's slots are. @param keys Where its table of keys is. */
  constructor(
    readonly board: Board,
    readonly wasm: Instance,
    readonly outlet: Outlet,
    slots: number,
    keys: number,
  ) {
    this.#slots = slots;
    this.#keys = keys;
    this.#scratch = wasm.memory.allocate(TRAIN_BYTES, 64);
    this.#trieMemory = new SharedTrie(board, outlet);
    this.#trie = new AllowedIps(this.#trieMemory);
  }

  /** Decrypts the sections of a job, and lists the packets to write. */
  open(job: number): void {
    const { board } = this;
    const { unsigned: words } = board;
    for (let word = Open.packets; word <= Open.separated; word++) words[job + word] = 0;
    this.#trieMemory.follow();
    const slot = slotAt(this.#slots, IN, words[job + Job.slot]!);
    let vectors = slot + OUTER_BYTES;
    for (let i = 0; i < words[job + Job.sections]!; i++) {
      const section = board.section(job, i);
      if (words[section + Section.handle] !== NO_HANDLE) {
        vectors = this.#openSection(job, section, slot, vectors);
      }
    }
  }

  /**
   * Decrypts a train, and checks the replay window and the allowed IPs.
   *
   * @param vectors Where the iovecs of its packets begin.
   * @returns Their end.
   */
  #openSection(job: number, section: number, slot: number, vectors: number): number {
    const { board, wasm } = this;
    const { unsigned: words } = board;
    const from = slot + words[section + OpenSection.at]!;
    const handle = words[section + Section.handle]!;
    const key = keyAt(this.#keys, handle);
    const length = words[section + OpenSection.length]!;
    if (wasm.authenticate(key, from, length, words[section + OpenSection.stride]!) > 0) {
      const own = wasm.window / 4, window = board.window(handle);
      board.lock(handle);
      try {
        wasm.memory.words.set(window, own);
        wasm.admit();
        window.set(wasm.memory.words.subarray(own, own + window.length));
      } finally {
        board.unlock(handle);
      }
    }
    const packets = wasm.join(words[section + OpenSection.flags]!);
    const { opened } = wasm;
    words[section + OpenSection.authenticated] = opened.authenticated;
    words[section + OpenSection.keepalives] = opened.keepalives;
    words[section + OpenSection.wireBytes] = opened.wireBytes;
    words[job + Open.badTag]! += opened.badTag;
    words[job + Open.replayed]! += opened.replayed;
    words[job + Open.malformed]! += opened.malformed;
    words[job + Open.tooShort]! += opened.tooShort;
    const peer = words[section + OpenSection.peer];
    for (let i = 0; i < Math.min(packets, MAX_OPENED); i++) {
      const parts = wasm.packetParts(i);
      if (this.#sourceOf(wasm.partAddress(i), wasm.partLength(i)) !== peer) {
        words[job + Open.wrongSource]! += parts;
        continue;
      }
      this.#list(job, i, vectors);
      vectors += 16 * parts;
    }
    return vectors;
  }

  /** The number of the peer whose allowed IPs contain a packet's source; 0 if there is none. */
  #sourceOf(at: number, length: number): number {
    const { bytes } = this.wasm.memory;
    const packet = at + VIRTIO_HEADER, size = length - VIRTIO_HEADER;
    const version = bytes[packet]! >>> 4;
    if (version === 4 && size >= 20) return this.#trie.lookup4(bytes, packet + 12);
    if (version === 6 && size >= 40) return this.#trie.lookup6(bytes, packet + 8);
    return 0;
  }

  /** Lists the i-th packet, its parts as `struct iovec` at `vectors`. */
  #list(job: number, i: number, vectors: number): void {
    const { board: { unsigned: words }, wasm, outlet: { base } } = this;
    const { bytes, view } = wasm.memory;
    const parts = wasm.packetParts(i);
    let total = 0;
    for (let part = 0; part < parts; part++) {
      const address = base + wasm.partAddress(i, part), length = wasm.partLength(i, part);
      const at = vectors + 16 * part;
      view.setUint32(at, address >>> 0, true);
      view.setUint32(at + 4, Math.floor(address / 2 ** 32), true);
      view.setUint32(at + 8, length, true);
      view.setUint32(at + 12, 0, true);
      total += length;
    }
    const entry = job + Open.packetList + PACKET_WORDS * words[job + Open.packets]!++;
    words[entry] = wasm.partAddress(i);
    words[entry + 1] = wasm.partLength(i);
    words[entry + 2] = parts;
    words[entry + 3] = vectors;
    words[entry + 4] = total;
    words[entry + 5] = joinedProtocol(bytes, wasm.partAddress(i));
  }

  /** Writes the packets of a job, which any lane may have decrypted. */
  write(job: number): void {
    const { board } = this;
    const { unsigned: words } = board;
    const base = board.base(words[job + Job.lane]!);
    const packets = words[job + Open.packets]!;
    // If this lane fails here, what it has not written is lost.
    for (let i = 0; i < packets; i++) {
      words[job + Open.tunErrors]! += words[job + Open.packetList + PACKET_WORDS * i + 2]!;
    }
    for (let i = 0; i < packets; i++) {
      const entry = job + Open.packetList + PACKET_WORDS * i;
      words[job + Open.tunErrors]! -= this.#writePacket(job, entry, base);
    }
  }

  /** Writes the packet of an entry of the list. @returns How many of its parts were accepted. */
  #writePacket(job: number, entry: number, base: number): number {
    const { board: { unsigned: words }, outlet } = this;
    const at = base + words[entry]!, length = words[entry + 1]!, parts = words[entry + 2]!;
    if (parts === 1) return outlet.write(at, length) === 0 ? 1 : 0;
    const vectors = base + words[entry + 3]!, protocol = words[entry + 5]!;
    const errno = outlet.writeVector(vectors, parts, words[entry + 4]!);
    if (errno === 0) {
      words[job + Open.joined]! |= protocol;
      return parts;
    }
    if (errno !== Errno.EINVAL) return 0;
    const written = this.#writeSeparately(at, length, vectors, parts);
    if (written > 0) words[job + Open.separated]! |= protocol;
    return written;
  }

  /**
   * Writes the original packets of a joined packet, like `writeJoined` in inbound.ts.
   *
   * @returns How many were accepted.
   */
  #writeSeparately(address: number, length: number, vectors: number, parts: number): number {
    const { outlet, wasm } = this;
    wasm.memory.bytes.set(new Uint8Array(outlet.map(address, length)), this.#scratch);
    const left = wasm.separateAlone(this.#scratch, length);
    const list = new DataView(outlet.map(vectors, 16 * parts));
    let written = outlet.write(outlet.base + this.#scratch, length) === 0 ? 1 : 0;
    for (let part = 1; part < parts; part++) {
      const at = list.getUint32(16 * part + 4, true) * 2 ** 32 + list.getUint32(16 * part, true);
      if (outlet.write(at - left, list.getUint32(16 * part + 8, true) + left) === 0) written++;
    }
    return written;
  }
}

/** Writes the result of a job of a lane that failed. */
export function loseOpening(board: Board, job: number): void {
  const { unsigned: words } = board;
  for (let word = Open.packets; word <= Open.separated; word++) words[job + word] = 0;
  for (let i = 0; i < words[job + Job.sections]!; i++) {
    const section = board.section(job, i);
    words[section + OpenSection.authenticated] = 0;
    if (words[section + Section.handle] === NO_HANDLE) continue;
    const length = words[section + OpenSection.length]!;
    words[job + Open.tunErrors]! += Math.ceil(length / words[section + OpenSection.stride]!);
  }
}
