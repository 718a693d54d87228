/**
 * Packets from the TUN device that lanes encrypt and send. They are read directly into a lane's memory. Consecutive
 * packets of one session are a section of a job. A job is posted when it has many bytes, or when the turn has read
 * everything. The engine handles the rest itself (outbound.ts): packets without a peer, an endpoint or a key, unusual
 * packets, and a few small packets of peers of which lanes have no job.
 *
 * @module
 */

import { VIRTIO_HEADER } from "../../../wasm/packet.ts";
import type { Now } from "../../protocol/clock.ts";
import { clearSource, type EndpointWords } from "../../protocol/endpoint.ts";
import type { Keypair } from "../../protocol/keypair.ts";
import { DATA_OVERHEAD } from "../../protocol/messages.ts";
import { SEND_FAILED } from "../../protocol/sessions.ts";
import type { DatagramSocket } from "../doors.ts";
import { route, sendTrain } from "../outbound.ts";
import type { PacketPath } from "../path.ts";
import { MAX_PAYLOAD4, MAX_PAYLOAD6 } from "../train.ts";
import {
  FAILED,
  Job,
  MAX_PARTS,
  MAX_SEALED,
  MAX_SECTIONS,
  NO_HANDLE,
  NO_TRAINS,
  OUT,
  RING,
  Seal,
  SealSection,
  Section,
  SOURCE_LOST,
} from "./board.ts";
import type { Lanes } from "./lanes.ts";
import { INNER_BYTES, PACKET_BYTES, SEALED_BYTES } from "./slots.ts";
import { measure } from "./super_packet.ts";

/** A job with this many encrypted bytes is posted. */
const FULL = 32_768;
/** The engine handles fewer bytes itself, unless lanes have jobs of the same peer. */
export const FEW = 4_096;

/** What the engine needs to know about a section when it is finished. */
interface Packets {
  keypair: Keypair | null;
  endpoint: EndpointWords | null;
  socket: DatagramSocket | null;
}

/** The engine's side of encryption in lanes. */
export class Outgoing {
  /** All sections, by the places of their jobs in the ring. Those without a keypair are not for lanes. */
  readonly #packets: Packets[] = Array.from({ length: RING * MAX_SECTIONS }, () => ({
    keypair: null,
    endpoint: null,
    socket: null,
  }));
  // The job that is being filled.
  #worker = -1;
  #slot = 0;
  #job = 0;
  /** Offset of the slot in the lane's memory. */
  #at = 0;
  #used = 0;
  #sections = 0;
  #parts = 0;
  #segments = 0;
  #sealed = 0;
  /** Encrypted bytes of the last section. After a long section, there is no other. */
  #last = 0;
  /** Whether no other job can follow it. */
  #final = false;
  readonly #measure = { segments: 0, bytes: 0, largest: 0 };
  readonly #counter = new Uint32Array(3);

  /** @param now The moment of each turn. */
  constructor(readonly path: PacketPath, readonly lanes: Lanes, readonly now: Now) {
    lanes.onCompletion(OUT, (ticket, job) => this.#completed(ticket, job));
  }

  /**
   * Where to read the next packet, as an address of packet memory, which may be negative; null if no lane has a free
   * slot.
   *
   * @param room The number of slots that must be free. It is one more than needed, because the packet may need another
   * job.
   */
  place(room = 2): number | null {
    const { lanes } = this;
    if (this.#worker < 0) {
      const free = lanes.room(OUT);
      if (free < room) return null;
      this.#worker = lanes.pick(OUT);
      if (this.#worker < 0) return null;
      this.#final = free < 2;
      this.#slot = lanes.takeSlot(OUT, this.#worker);
      this.#at = lanes.slotAt(OUT, this.#worker, this.#slot);
      this.#job = lanes.begin(OUT, this.#worker, this.#slot);
      this.#used =
        this.#sections =
        this.#parts =
        this.#segments =
        this.#sealed =
        this.#last =
          0;
    }
    return lanes.origin(this.#worker) + this.#at + this.#used;
  }

  /** Handles the packet that was read to `place`. */
  take(length: number): void {
    const { path, lanes, now } = this;
    const bytes = lanes.bytes(this.#worker);
    const at = this.#at + this.#used;
    const peer = path.device.lookup(bytes, at + VIRTIO_HEADER, length - VIRTIO_HEADER);
    const endpoint = peer?.endpoint ?? null;
    const socket = endpoint && path.socketFor(endpoint);
    const keypair = peer && socket && path.device.sessions.sendingKeypair(peer, now);
    measure(bytes, at, length, path.mtu, this.#measure);
    const { segments, largest, bytes: sealed } = this.#measure;
    const limit = endpoint?.[0] === 6 ? MAX_PAYLOAD6 : MAX_PAYLOAD4;
    const odd = segments === 0 || segments > MAX_SEALED || largest > limit - DATA_OVERHEAD ||
      sealed > SEALED_BYTES - FULL;
    if (!keypair || !endpoint || !socket || socket.fd === undefined || odd) {
      const packet = bytes.subarray(at, at + length);
      // Earlier packets of the peer must be sent first. The packet stays in the slot until the slot is used again.
      this.post();
      if (keypair && lanes.hasJobs(OUT, peer!)) lanes.rest();
      this.#own(packet);
      return;
    }
    const continues = this.#continues(keypair, endpoint);
    if (!continues && this.#last > FEW) {
      const packet = bytes.subarray(at, at + length);
      this.post();
      if (this.place(1) === null) {
        if (lanes.hasJobs(OUT, peer!)) lanes.rest();
        this.#own(packet);
        return;
      }
      lanes.bytes(this.#worker).set(packet, this.#at);
    }
    if (!continues) this.#beginSection(keypair, endpoint, socket);
    this.#add(length, segments, sealed);
  }

  /** Whether packets with this keypair and endpoint belong to the last section. */
  #continues(keypair: Keypair, endpoint: EndpointWords): boolean {
    if (this.#sections === 0) return false;
    const last = this.#packets[this.#record(this.#sections - 1)]!;
    return last.keypair === keypair && last.endpoint === endpoint;
  }

  #beginSection(keypair: Keypair, endpoint: EndpointWords, socket: DatagramSocket): void {
    const { lanes: { board, board: { unsigned: words } } } = this;
    const index = this.#sections++;
    const section = board.section(this.#job, index);
    words[section + SealSection.counters] = words[section + SealSection.sealedBytes] = 0;
    words[section + SealSection.socket] = socket.fd!;
    words[section + SealSection.segmentation] = socket.segmentation ? 1 : 0;
    words[section + SealSection.first] = this.#parts;
    words[section + SealSection.parts] = 0;
    board.writeEndpoint(section, endpoint);
    const packets = this.#packets[this.#record(index)]!;
    packets.keypair = keypair;
    packets.endpoint = endpoint;
    packets.socket = socket;
    this.#last = 0;
  }

  /** Adds a packet to the last section. */
  #add(length: number, segments: number, sealed: number): void {
    const { lanes: { board, board: { unsigned: words } } } = this;
    const section = board.section(this.#job, this.#sections - 1);
    const part = this.#job + Seal.partList + 2 * this.#parts;
    words[part] = this.#used;
    words[part + 1] = length;
    words[section + SealSection.parts]!++;
    words[section + SealSection.counters]! += segments;
    words[section + SealSection.sealedBytes]! += sealed;
    this.#parts++;
    this.#segments += segments;
    this.#sealed += sealed;
    this.#last += sealed;
    this.#used += length + 15 & ~15;
    const full = this.#sealed >= FULL || this.#parts === MAX_PARTS || this.#sections === MAX_SECTIONS ||
      this.#segments >= MAX_SEALED / 2 ||
      this.#used > INNER_BYTES - PACKET_BYTES ||
      // The next packet may need another job.
      this.#final && this.#last > FEW;
    if (full) this.post();
  }

  /** Posts the current job. Called before a turn continues with anything else. */
  post(): void {
    if (this.#worker < 0) return;
    const { path, lanes } = this;
    const { board, board: { unsigned: words } } = lanes;
    const job = this.#job, worker = this.#worker, sections = this.#sections;
    this.#worker = -1;
    words[job + Job.sections] = sections;
    words[job + Seal.mtu] = path.mtu;
    for (let i = 0; i < sections; i++) words[board.section(job, i) + Section.handle] = NO_HANDLE;
    const short = this.#last > FEW ? this.#sealed - this.#last : this.#sealed;
    if (short <= FEW) this.#sealFew(worker);
    let bytes = 0, i = 0;
    for (; i < sections; i++) {
      const { keypair } = this.#packets[this.#record(i)]!;
      if (keypair === null) continue;
      const section = board.section(job, i);
      if (!this.#assign(section, keypair)) break;
      bytes += words[section + SealSection.sealedBytes]!;
    }
    const left = this.#record(i), end = this.#record(sections);
    if (bytes > 0) {
      path.lanes!.noteTrain(OUT, bytes);
      // The packets that the engine has encrypted itself were read earlier.
      sendTrain(path, this.now);
      lanes.post(OUT, worker, job);
    } else {
      lanes.giveSlotBack(OUT, worker, this.#slot);
    }
    if (left === end) return;
    // Lanes can have no more keys, or the session has too few counters. The packets stay in the slot until it is used
    // again.
    lanes.rest();
    for (let record = left, section = i; record < end; record++, section++) {
      const packets = this.#packets[record]!;
      if (packets.keypair !== null) this.#seal(worker, job, section, packets);
    }
  }

  /** Assigns a section to lanes, with its counters. @returns False if that is impossible. */
  #assign(section: number, { slot }: Keypair): boolean {
    const { lanes, path: { wasm } } = this;
    const { unsigned: words } = lanes.board;
    if (!wasm.reserve(slot, words[section + SealSection.counters]!, this.#counter)) return false;
    if (!lanes.assign(OUT, section, slot)) return false;
    words[section + SealSection.counterLow] = this.#counter[0]!;
    words[section + SealSection.counterHigh] = this.#counter[1]!;
    words[section + SealSection.flags] = this.#counter[2]! & 3;
    return true;
  }

  /** Seals the short sections of peers of which lanes have no job. Only the last section may be long. */
  #sealFew(worker: number): void {
    const { lanes, lanes: { board, board: { unsigned: words } } } = this;
    for (let i = 0; i < this.#sections; i++) {
      if (words[board.section(this.#job, i) + SealSection.sealedBytes]! > FEW) return;
      const packets = this.#packets[this.#record(i)]!;
      if (lanes.hasJobs(OUT, packets.keypair!.peer)) continue;
      this.#seal(worker, this.#job, i, packets);
    }
  }

  /** Seals a section in this thread. */
  #seal(worker: number, job: number, index: number, packets: Packets): void {
    const { lanes, lanes: { board, board: { unsigned: words } } } = this;
    clear(packets);
    const section = board.section(job, index), bytes = lanes.bytes(worker);
    const first = words[section + SealSection.first]!, parts = words[section + SealSection.parts]!;
    for (let i = first; i < first + parts; i++) {
      const part = job + Seal.partList + 2 * i;
      const from = this.#at + words[part]!;
      this.#own(bytes.subarray(from, from + words[part + 1]!));
    }
  }

  /** Handles a packet that lanes do not handle. */
  #own(packet: Uint8Array): void {
    const { path } = this;
    path.wasm.memory.bytes.set(packet, path.inner);
    route(path, packet.length, this.now);
  }

  /** The index of a section of the current job in `#packets`. */
  #record(section: number): number {
    return this.lanes.ticket(OUT) * MAX_SECTIONS + section;
  }

  #completed(ticket: number, job: number): void {
    const { path, lanes: { board, board: { unsigned: words } } } = this;
    path.drops.malformedInner += words[job + Seal.malformed]!;
    for (let i = 0; i < words[job + Job.sections]!; i++) {
      const packets = this.#packets[ticket * MAX_SECTIONS + i]!;
      if (packets.keypair !== null) this.#sectionCompleted(packets, board.section(job, i));
      clear(packets);
    }
  }

  #sectionCompleted({ keypair, endpoint, socket }: Packets, section: number): void {
    const { path: { drops, device }, lanes: { board: { unsigned: words } } } = this;
    const { peer } = keypair!;
    const notes = words[section + SealSection.notes]!;
    const segments = words[section + SealSection.segments]!;
    const failed = (notes & FAILED) !== 0;
    const refused = words[section + (failed ? SealSection.counters : SealSection.refused)]!;
    drops.sendError += refused;
    if ((notes & SOURCE_LOST) !== 0 && peer.endpoint === endpoint) clearSource(endpoint!);
    if ((notes & NO_TRAINS) !== 0) socket!.trainsRefused?.(words[section + SealSection.errno]!);
    const flags = words[section + SealSection.flags]!;
    const sent = refused < segments ? flags : flags | SEND_FAILED;
    device.sessions.dataSent(
      peer,
      keypair!,
      segments,
      words[section + SealSection.bytes]!,
      sent,
      this.now,
    );
  }
}

/** So that no keypair outlives its peer. */
function clear(packets: Packets): void {
  packets.keypair =
    packets.endpoint =
    packets.socket =
      null;
}
