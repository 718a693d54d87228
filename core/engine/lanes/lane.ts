/**
 * A lane: seals and sends, opens and writes. It works in a thread of its own; lane 0 works in the engine's thread, for the
 * jobs that the engine does itself. A lane decides nothing and keeps no state but its copies of keys.
 *
 * @module
 */

import type { Wasm } from "../../../wasm/mod.ts";
import { VIRTIO_HEADER } from "../../../wasm/packet.ts";
import { AllowedIps, type TrieMemory } from "../../protocol/allowed_ips.ts";
import { Errno } from "../../uapi/errno.ts";
import type { Outlet } from "../doors.ts";
import { joinedProtocol } from "../joining.ts";
import { MAX_SEGMENTS, Train } from "../train.ts";
import {
  type Board,
  BoardWord,
  type Direction,
  IN,
  Job,
  JobState,
  LaneState,
  LaneWord,
  MAX_OPENED,
  MAX_TRAINS,
  NO_TRAINS,
  Open,
  OUT,
  PACKET_WORDS,
  RING,
  Seal,
  SOURCE_LOST,
} from "./board.ts";
import {
  INNER_BYTES,
  KEYPAIR_BYTES,
  KEYS_BYTES,
  OUTER_BYTES,
  SEALED_BYTES,
  slotAt,
  SLOTS_BYTES,
} from "./slots.ts";

/** Where the engine's trie of allowed IPs is now. */
class SharedTrie implements TrieMemory {
  array: Uint32Array = new Uint32Array(64);
  #address = 0;

  constructor(readonly board: Board, readonly outlet: Outlet) {}

  grow(): void {}

  /** Follows the engine's words when they have moved. They do not change while there is a job. */
  follow(): void {
    const { unsigned } = this.board;
    const address = unsigned[BoardWord.trieHigh]! * 2 ** 32 + unsigned[BoardWord.trieLow]!;
    const length = unsigned[BoardWord.trieLength]!;
    if (address === this.#address && length === this.array.length) return;
    this.array = new Uint32Array(this.outlet.map(address, 4 * length));
    this.#address = address;
  }
}

/** The work of one lane. */
export class Lane {
  readonly #trieMemory: SharedTrie;
  readonly #trie: AllowedIps;
  readonly #train: Train;
  /** Offset of the words of this lane. */
  readonly #at: number;
  readonly #slots: number;
  readonly #keys: number;
  /** A place for the headers of a packet whose joining is undone. */
  readonly #scratch: number;

  /** Says in the board that this lane is ready. Its memory does not grow afterwards. */
  constructor(readonly board: Board, readonly number: number, readonly wasm: Wasm, readonly outlet: Outlet) {
    const { memory } = wasm;
    this.#slots = memory.allocate(SLOTS_BYTES, 64);
    this.#keys = memory.allocate(KEYS_BYTES, 64);
    this.#scratch = memory.allocate(OUTER_BYTES, 64);
    this.#train = new Train(this.#slots, SEALED_BYTES);
    this.#trieMemory = new SharedTrie(board, outlet);
    this.#trie = new AllowedIps(this.#trieMemory);
    this.#at = board.lane(number);
    const { unsigned, words } = board;
    const base = outlet.base;
    unsigned[this.#at + LaneWord.baseLow] = base >>> 0;
    unsigned[this.#at + LaneWord.baseHigh] = Math.floor(base / 2 ** 32);
    unsigned[this.#at + LaneWord.size] = memory.bytes.length;
    unsigned[this.#at + LaneWord.slots] = this.#slots;
    unsigned[this.#at + LaneWord.keys] = this.#keys;
    Atomics.store(words, this.#at + LaneWord.state, LaneState.Ready);
  }

  /**
   * Works until the engine ends it.
   *
   * @throws {Error} What made it fail, once the engine has ended all lanes. Nothing is left half done but the job in hand.
   */
  run(): void {
    const { words } = this.board;
    const at = this.#at;
    try {
      while (Atomics.load(words, at + LaneWord.stop) === 0) {
        if (this.step()) continue;
        Atomics.store(words, at + LaneWord.sleeps, 1);
        Atomics.wait(words, at + LaneWord.posted, words[at + LaneWord.taken]!);
        Atomics.store(words, at + LaneWord.sleeps, 0);
      }
    } catch (error) {
      this.#waitForEnd();
      throw error;
    }
    Atomics.store(words, at + LaneWord.state, LaneState.Ended);
  }

  /** Keeps the memory: other lanes still send what this one has finished, and the engine still erases keys in it. */
  #waitForEnd(): void {
    const { words } = this.board;
    const posted = this.#at + LaneWord.posted;
    for (;;) {
      const before = Atomics.load(words, posted);
      if (Atomics.load(words, this.#at + LaneWord.stop) !== 0) return;
      Atomics.wait(words, posted, before);
    }
  }

  /** Does the next job. @returns False if there is none: then no call has left anything of a key on the stack. */
  step(): boolean {
    const { board: { words }, wasm } = this;
    const at = this.#at;
    const taken = words[at + LaneWord.taken]!;
    if (Atomics.load(words, at + LaneWord.posted) === taken) {
      wasm.wipeStack();
      Atomics.store(words, at + LaneWord.clean, 1);
      return false;
    }
    try {
      Atomics.store(words, at + LaneWord.clean, 0);
      const job = words[at + LaneWord.queue + (taken & 2 * RING - 1)]!;
      this.work(job >= RING ? IN : OUT, job & RING - 1);
      Atomics.store(words, at + LaneWord.taken, taken + 1 | 0);
    } catch (error) {
      try {
        wasm.wipeStack();
      } finally {
        Atomics.store(words, at + LaneWord.state, LaneState.Failed);
        this.outlet.ring();
      }
      throw error;
    }
    return true;
  }

  /** Does one job, and releases what can be released. */
  work(direction: Direction, ticket: number): void {
    const job = this.board.job(direction, ticket);
    if (direction === OUT) this.#seal(job);
    else this.#open(job);
    Atomics.store(this.board.words, job + Job.state, JobState.Done);
    this.release(direction);
  }

  /** Sends or writes the results of all jobs at the front of a ring that are done, unless another lane is at it. */
  release(direction: Direction): void {
    const { words } = this.board;
    const role = BoardWord.role + direction, headAt = BoardWord.head + direction;
    let released = false;
    // Looked at again after the role was given back: another lane may have tried to get it meanwhile.
    while (this.#isDone(direction) && Atomics.compareExchange(words, role, 0, 1 + this.number) === 0) {
      try {
        while (this.#isDone(direction)) {
          const head = Atomics.load(words, headAt);
          const job = this.board.job(direction, head);
          try {
            if (direction === OUT) this.#send(job);
            else this.#write(job);
          } finally {
            // Should that fail, it is not tried again.
            Atomics.store(words, job + Job.state, JobState.Released);
            Atomics.store(words, headAt, head + 1 | 0);
          }
          released = true;
        }
      } finally {
        Atomics.store(words, role, 0);
      }
    }
    if (released) this.#tell(direction);
  }

  /** Wakes the engine if it waits for this. */
  #tell(direction: Direction): void {
    const { words } = this.board;
    const wanted = Atomics.load(words, BoardWord.engineSleeps);
    if (wanted === 0 || wanted === 1 && !this.board.drained(direction)) return;
    if (Atomics.compareExchange(words, BoardWord.engineSleeps, wanted, 0) === wanted) this.outlet.ring();
  }

  #isDone(direction: Direction): boolean {
    const { words } = this.board;
    const head = Atomics.load(words, BoardWord.head + direction);
    return head !== Atomics.load(words, BoardWord.tail + direction) &&
      Atomics.load(words, this.board.job(direction, head) + Job.state) === JobState.Done;
  }

  #key(job: number): number {
    return this.#keys + this.board.words[job + Job.handle]! * KEYPAIR_BYTES;
  }

  /** Seals the parts of a job into trains, as `seal` in outbound.ts. */
  #seal(job: number): void {
    const { board: { unsigned: words }, wasm } = this;
    const train = this.#train;
    const slot = slotAt(this.#slots, OUT, words[job + Job.slot]!);
    const key = this.#key(job);
    const { sealed } = wasm;
    words[job + Seal.trains] = words[job + Seal.segments] = words[job + Seal.bytes] = 0;
    words[job + Seal.malformed] = words[job + Seal.notes] = 0;
    wasm.borrow(
      key,
      words[job + Seal.counterLow]!,
      words[job + Seal.counterHigh]!,
      words[job + Seal.counters]!,
    );
    train.region = slot + INNER_BYTES;
    train.begin(null, null, this.board.endpoint(job), train.region);
    const parts = words[job + Seal.parts]!;
    for (let i = 0; i < parts; i++) {
      const part = job + Seal.partList + 2 * i;
      let first = 0;
      do {
        const segments = wasm.sealBatch(
          key,
          slot + words[part]!,
          words[part + 1]!,
          train.end,
          train.room,
          Math.min(words[job + Seal.mtu]!, train.largestPacket),
          first,
          MAX_SEGMENTS - train.segments,
        );
        if (segments === 0) {
          if (train.segments > 0 && !sealed.malformed) {
            this.#endTrain(job);
            continue;
          }
          words[job + Seal.malformed]!++;
          break;
        }
        if (!train.takes(sealed)) {
          const { end } = train;
          this.#endTrain(job);
          train.begin(null, null, this.board.endpoint(job), end);
        }
        train.add(sealed);
        if (train.full) this.#endTrain(job);
        first += segments;
      } while (first < sealed.total);
    }
    this.#endTrain(job);
  }

  /** Lists the train. Another one begins behind it. */
  #endTrain(job: number): void {
    const { unsigned: words } = this.board;
    const { at, end, length, stride, segments, ecn } = this.#train;
    const count = words[job + Seal.trains]!;
    if (segments > 0 && count < MAX_TRAINS) {
      const entry = job + Seal.trainList + 4 * count;
      words[entry] = at;
      words[entry + 1] = length;
      words[entry + 2] = segments > 1 ? stride : 0;
      words[entry + 3] = ecn;
      words[job + Seal.trains] = count + 1;
      words[job + Seal.segments]! += segments;
      words[job + Seal.bytes]! += length;
    }
    this.#train.begin(null, null, this.board.endpoint(job), end);
  }

  #send(job: number): void {
    const { board, outlet } = this;
    const { unsigned: words } = board;
    const base = board.base(words[job + Job.lane]!);
    const endpoint = board.endpoint(job);
    const source = endpoint[8]! | endpoint[9]! | endpoint[10]! | endpoint[11]!;
    const socket = words[job + Seal.socket]!;
    outlet.useSocket(socket, endpoint[0] === 6 ? 6 : 4, words[job + Seal.segmentation] !== 0);
    words[job + Seal.refused] = 0;
    const trains = words[job + Seal.trains]!;
    for (let i = 0; i < trains; i++) {
      const entry = job + Seal.trainList + 4 * i;
      words[job + Seal.refused]! += outlet.send(
        endpoint,
        base + words[entry]!,
        words[entry + 1]!,
        words[entry + 2]!,
        words[entry + 3]!,
      );
    }
    if (source !== 0 && (endpoint[8]! | endpoint[9]! | endpoint[10]! | endpoint[11]!) === 0) {
      words[job + Seal.notes]! |= SOURCE_LOST;
    }
    if (outlet.trainsRefused !== 0) {
      words[job + Seal.notes]! |= NO_TRAINS;
      words[job + Seal.errno] = outlet.trainsRefused;
      outlet.trainsRefused = 0;
    }
  }

  /** Opens a train, asks the replay window and the allowed IPs, and lists what is to be written. */
  #open(job: number): void {
    const { board, wasm } = this;
    const { unsigned: words } = board;
    const from = slotAt(this.#slots, IN, words[job + Job.slot]!);
    const key = this.#key(job);
    const handle = words[job + Job.handle]!;
    words[job + Open.packets] = words[job + Open.wrongSource] = words[job + Open.tunErrors] = 0;
    words[job + Open.joined] = words[job + Open.separated] = 0;
    if (wasm.authenticate(key, from, words[job + Open.length]!, words[job + Open.stride]!) > 0) {
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
    const packets = wasm.join(words[job + Open.flags]!);
    const { opened } = wasm;
    words[job + Open.authenticated] = opened.authenticated;
    words[job + Open.keepalives] = opened.keepalives;
    words[job + Open.wireBytes] = opened.wireBytes;
    words[job + Open.badTag] = opened.badTag;
    words[job + Open.replayed] = opened.replayed;
    words[job + Open.malformed] = opened.malformed;
    words[job + Open.tooShort] = opened.tooShort;
    this.#trieMemory.follow();
    let vectors = from + OUTER_BYTES;
    for (let i = 0; i < Math.min(packets, MAX_OPENED); i++) {
      const parts = wasm.packetParts(i);
      if (this.#sourceOf(wasm.partAddress(i), wasm.partLength(i)) !== words[job + Open.peer]) {
        words[job + Open.wrongSource]! += parts;
        continue;
      }
      this.#list(job, i, vectors);
      vectors += 16 * parts;
    }
  }

  /** The number of the peer that a packet's source belongs to; 0 for nobody. */
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

  #write(job: number): void {
    const { board, outlet } = this;
    const { unsigned: words } = board;
    const base = board.base(words[job + Job.lane]!);
    const packets = words[job + Open.packets]!;
    for (let i = 0; i < packets; i++) {
      const entry = job + Open.packetList + PACKET_WORDS * i;
      const at = base + words[entry]!, parts = words[entry + 2]!;
      if (parts === 1) {
        if (outlet.write(at, words[entry + 1]!) !== 0) words[job + Open.tunErrors]!++;
        continue;
      }
      const vectors = base + words[entry + 3]!, protocol = words[entry + 5]!;
      const errno = outlet.writeVector(vectors, parts, words[entry + 4]!);
      if (errno === 0) {
        words[job + Open.joined]! |= protocol;
      } else if (errno !== Errno.EINVAL) {
        words[job + Open.tunErrors]! += parts;
      } else if (this.#writeSeparately(job, at, words[entry + 1]!, vectors, parts)) {
        words[job + Open.separated]! |= protocol;
      }
    }
  }

  /** Writes the packets that a joined packet was made of, as `writeJoined` in inbound.ts. @returns Whether one was taken. */
  #writeSeparately(job: number, address: number, length: number, vectors: number, parts: number): boolean {
    const { outlet, wasm } = this;
    wasm.memory.bytes.set(new Uint8Array(outlet.map(address, length)), this.#scratch);
    const left = wasm.separateAlone(this.#scratch, length);
    const list = new DataView(outlet.map(vectors, 16 * parts));
    let written = outlet.write(outlet.base + this.#scratch, length) === 0 ? 1 : 0;
    for (let part = 1; part < parts; part++) {
      const at = list.getUint32(16 * part + 4, true) * 2 ** 32 + list.getUint32(16 * part, true);
      if (outlet.write(at - left, list.getUint32(16 * part + 8, true) + left) === 0) written++;
    }
    this.board.unsigned[job + Open.tunErrors]! += parts - written;
    return written > 0;
  }
}
