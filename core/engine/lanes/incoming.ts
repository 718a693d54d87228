/**
 * Trains of datagrams that lanes decrypt and write. They are received directly into a lane's memory, one behind the
 * other: each is a section of a job. A long train is posted at once, and short ones when the turn has received
 * everything. The engine handles the rest itself (inbound.ts): handshake messages, trains of several sessions, the first
 * data of a session, which confirms its keys, and a few short trains of peers of which lanes have no job.
 *
 * @module
 */

import type { Now } from "../../protocol/clock.ts";
import { ENDPOINT_WORDS } from "../../protocol/endpoint.ts";
import type { Keypair } from "../../protocol/keypair.ts";
import { MESSAGE_DATA } from "../../protocol/messages.ts";
import type { DatagramSocket } from "../doors.ts";
import { openFlags, openRun } from "../inbound.ts";
import { separatedInLane } from "../joining.ts";
import type { PacketPath } from "../path.ts";
import { IN, Job, MAX_OPENED, MAX_SECTIONS, NO_HANDLE, Open, OpenSection, RING, Section } from "./board.ts";
import type { Lanes } from "./lanes.ts";
import { FEW } from "./outgoing.ts";
import { OUTER_BYTES, TRAIN_BYTES } from "./slots.ts";

/** The engine's side of decryption in lanes. */
export class Incoming {
  /** The keypairs of all sections, by the places of their jobs in the ring. */
  readonly #keypairs: (Keypair | null)[] = new Array(RING * MAX_SECTIONS).fill(null);
  readonly #sender = new Uint32Array(ENDPOINT_WORDS);
  // The job that is being filled.
  #worker = -1;
  #slot = 0;
  #job = 0;
  /** Offset of the slot in the lane's memory. */
  #at = 0;
  #used = 0;
  #sections = 0;
  #datagrams = 0;
  /** Bytes of short trains. */
  #short = 0;
  readonly #views = new WeakMap<ArrayBufferLike, DataView>();

  constructor(readonly path: PacketPath, readonly lanes: Lanes, readonly now: Now) {
    lanes.onCompletion(IN, (ticket, job) => this.#completed(ticket, job));
  }

  /**
   * Where to receive the next train, as an address of packet memory, which may be negative; null if no lane has a free
   * slot.
   */
  place(): number | null {
    const { lanes } = this;
    if (this.#worker < 0) {
      this.#worker = lanes.pick(IN);
      if (this.#worker < 0) return null;
      this.#slot = lanes.takeSlot(IN, this.#worker);
      this.#at = lanes.slotAt(IN, this.#worker, this.#slot);
      this.#job = lanes.begin(IN, this.#worker, this.#slot);
      this.#used =
        this.#sections =
        this.#datagrams =
        this.#short =
          0;
    }
    return lanes.origin(this.#worker) + this.#at + this.#used;
  }

  /**
   * Handles the train that was received at `place`.
   *
   * @returns Whether it is now in `path.outer`, for the engine to decrypt.
   */
  take(socket: DatagramSocket, length: number): boolean {
    const { path, lanes } = this;
    const bytes = lanes.bytes(this.#worker);
    const { segment } = socket;
    const at = this.#at + this.#used;
    const index = this.#commonIndex(bytes, at, length, segment);
    const keypair = index < 0 ? null : path.device.sessions.keypair(index, this.now);
    if (index >= 0 && keypair === null) {
      path.drops.unknownIndex += Math.ceil(length / segment);
      return false;
    }
    if (keypair === null || keypair === keypair.peer.keypairs.next) {
      // Earlier trains of the peer must be written first. The data of a mixed train may be of any peer.
      if (keypair !== null || this.#hasData(bytes, at, length, segment)) {
        this.post();
        if (keypair === null || lanes.hasJobs(IN, keypair.peer)) lanes.rest();
      }
      // It stays in the slot until the slot is used again.
      path.wasm.memory.bytes.set(bytes.subarray(at, at + length), path.outer);
      return true;
    }
    this.#add(socket, keypair, length);
    return false;
  }

  /** Adds a section. */
  #add(socket: DatagramSocket, keypair: Keypair, length: number): void {
    const { lanes: { board } } = this;
    const { unsigned: words } = board;
    const index = this.#sections++;
    const section = board.section(this.#job, index);
    words[section + OpenSection.at] = this.#used;
    words[section + OpenSection.length] = length;
    words[section + OpenSection.stride] = socket.segment;
    words[section + OpenSection.flags] = openFlags(this.path, socket);
    words[section + OpenSection.peer] = keypair.peer.number;
    board.writeEndpoint(section, socket.from);
    this.#keypairs[this.#record(index)] = keypair;
    this.#used += length + 15 & ~15;
    this.#datagrams += Math.ceil(length / socket.segment);
    if (length <= FEW) this.#short += length;
    const full = length > FEW || index + 1 === MAX_SECTIONS || this.#datagrams >= MAX_OPENED ||
      this.#used > OUTER_BYTES - TRAIN_BYTES;
    if (full) this.post();
  }

  /** Posts the current job. Called before a turn continues with anything else. */
  post(): void {
    if (this.#worker < 0) return;
    const { lanes } = this;
    const { board, board: { unsigned: words } } = lanes;
    const job = this.#job, worker = this.#worker, sections = this.#sections;
    this.#worker = -1;
    words[job + Job.sections] = sections;
    for (let i = 0; i < sections; i++) words[board.section(job, i) + Section.handle] = NO_HANDLE;
    if (this.#short <= FEW) this.#openFew(worker);
    let count = 0, i = 0;
    for (; i < sections; i++) {
      const keypair = this.#keypairs[this.#record(i)]!;
      if (keypair === null) continue;
      if (!lanes.assign(IN, board.section(job, i), keypair.slot)) break;
      count++;
    }
    const left = this.#record(i), end = this.#record(sections);
    if (count > 0) lanes.post(IN, worker, job);
    else lanes.giveSlotBack(IN, worker, this.#slot);
    if (left === end) return;
    // Lanes can have no more keys. The trains stay in the slot until it is used again.
    lanes.rest();
    for (let record = left, section = i; record < end; record++, section++) {
      if (this.#keypairs[record] !== null) this.#open(worker, board.section(job, section), record);
    }
  }

  /** Opens the short trains of peers of which lanes have no job. Only the last train may be long. */
  #openFew(worker: number): void {
    const { lanes, lanes: { board, board: { unsigned: words } } } = this;
    for (let i = 0; i < this.#sections; i++) {
      const record = this.#record(i), section = board.section(this.#job, i);
      if (words[section + OpenSection.length]! > FEW) return;
      if (lanes.hasJobs(IN, this.#keypairs[record]!.peer)) continue;
      this.#open(worker, section, record);
    }
  }

  /** Opens a section in this thread. */
  #open(worker: number, section: number, record: number): void {
    const { path, lanes, lanes: { board, board: { unsigned: words } } } = this;
    const keypair = this.#keypairs[record]!;
    this.#keypairs[record] = null;
    const at = this.#at + words[section + OpenSection.at]!, length = words[section + OpenSection.length]!;
    path.wasm.memory.bytes.set(lanes.bytes(worker).subarray(at, at + length), path.outer);
    board.readEndpoint(section, this.#sender);
    const stride = words[section + OpenSection.stride]!, flags = words[section + OpenSection.flags]!;
    openRun(path, keypair, path.outer, length, stride, flags, this.#sender, this.now);
  }

  /** The index of a section of the current job in `#keypairs`. */
  #record(section: number): number {
    return this.lanes.ticket(IN) * MAX_SECTIONS + section;
  }

  /** The receiver index that all datagrams have; -1 if they are not all data with one index, or are too many. */
  #commonIndex(bytes: Uint8Array, from: number, length: number, stride: number): number {
    if (length > MAX_OPENED * stride) return -1;
    const view = this.#viewOf(bytes);
    const base = bytes.byteOffset + from, end = base + length;
    if (length < 8) return -1;
    const index = view.getUint32(base + 4, true);
    for (let at = base; at < end; at += stride) {
      // The three reserved bytes must be zero, so type and reserved bytes are compared as one number.
      if (
        at + 8 > end || view.getUint32(at, true) !== MESSAGE_DATA || view.getUint32(at + 4, true) !== index
      ) {
        return -1;
      }
    }
    return index;
  }

  /**
   * Whether one of the datagrams is data of a session: GRO may join a handshake message with shorter data behind it.
   * Other data is dropped, and anyone can send it, so it must not make the engine wait.
   */
  #hasData(bytes: Uint8Array, from: number, length: number, stride: number): boolean {
    const { path: { device: { sessions } }, now } = this;
    const view = this.#viewOf(bytes);
    const base = bytes.byteOffset + from, end = base + length;
    for (let at = base; at + 8 <= end; at += stride) {
      if (view.getUint32(at, true) !== MESSAGE_DATA) continue;
      if (sessions.keypair(view.getUint32(at + 4, true), now) !== null) return true;
    }
    return false;
  }

  #viewOf({ buffer }: Uint8Array): DataView {
    let view = this.#views.get(buffer);
    if (view === undefined) this.#views.set(buffer, view = new DataView(buffer));
    return view;
  }

  #completed(ticket: number, job: number): void {
    const { path, lanes: { board } } = this;
    const { drops } = path;
    const { unsigned: words } = board;
    drops.badTag += words[job + Open.badTag]!;
    drops.replayed += words[job + Open.replayed]!;
    drops.malformedOpened += words[job + Open.malformed]!;
    drops.malformedOuter += words[job + Open.tooShort]!;
    drops.wrongSource += words[job + Open.wrongSource]!;
    drops.tunError += words[job + Open.tunErrors]!;
    path.joined |= words[job + Open.joined]!;
    const separated = words[job + Open.separated]!;
    if (separated !== 0) separatedInLane(path, separated);
    for (let i = 0; i < words[job + Job.sections]!; i++) {
      const record = ticket * MAX_SECTIONS + i, keypair = this.#keypairs[record]!;
      this.#keypairs[record] = null;
      if (keypair !== null) this.#sectionCompleted(keypair, board.section(job, i));
    }
  }

  #sectionCompleted(keypair: Keypair, section: number): void {
    const { lanes: { board, board: { unsigned: words } } } = this;
    const authenticated = words[section + OpenSection.authenticated]!;
    // Only datagrams that passed the AEAD and the replay window may change the endpoint or a timer (whitepaper §2.1, §6).
    if (authenticated === 0) return;
    board.readEndpoint(section, this.#sender);
    this.path.device.sessions.dataReceived(
      keypair,
      authenticated,
      words[section + OpenSection.keepalives]!,
      words[section + OpenSection.wireBytes]!,
      this.#sender,
      this.now,
    );
  }
}
