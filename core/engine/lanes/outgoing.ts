/**
 * Packets from the TUN device that lanes encrypt and send. They are read directly into a lane's memory. The engine
 * handles the rest itself (outbound.ts): packets without a peer, an endpoint or a key, unusual packets, and a few small
 * packets of a peer of which lanes have no job.
 *
 * @module
 */

import { VIRTIO_HEADER } from "../../../wasm/packet.ts";
import type { Now } from "../../protocol/clock.ts";
import { clearSource, type EndpointWords } from "../../protocol/endpoint.ts";
import type { Keypair } from "../../protocol/keypair.ts";
import { DATA_OVERHEAD } from "../../protocol/messages.ts";
import type { Peer } from "../../protocol/peer.ts";
import { SEND_FAILED } from "../../protocol/sessions.ts";
import type { DatagramSocket } from "../doors.ts";
import { route, sendTrain } from "../outbound.ts";
import type { PacketPath } from "../path.ts";
import { MAX_PAYLOAD4, MAX_PAYLOAD6 } from "../train.ts";
import { FAILED, MAX_PARTS, MAX_SEALED, NO_TRAINS, OUT, RING, Seal, SOURCE_LOST } from "./board.ts";
import type { Lanes } from "./lanes.ts";
import { INNER_BYTES, PACKET_BYTES, SEALED_BYTES } from "./slots.ts";
import { measure } from "./super_packet.ts";

/** A job with this many encrypted bytes is posted. */
const FULL = 32_768;
/** The engine handles fewer bytes itself, unless lanes have jobs of the same peer. */
export const FEW = 4_096;

/** What the engine needs to know about a job when it is finished. */
interface Posted {
  peer: Peer | null;
  keypair: Keypair | null;
  endpoint: EndpointWords | null;
  socket: DatagramSocket | null;
  segments: number;
  flags: number;
}

/** The engine's side of encryption in lanes. */
export class Outgoing {
  readonly #posted: Posted[] = Array.from({ length: RING }, () => ({
    peer: null,
    keypair: null,
    endpoint: null,
    socket: null,
    segments: 0,
    flags: 0,
  }));
  // The job that is being filled.
  #worker = -1;
  #slot = 0;
  /** Offset of the slot in the lane's memory. */
  #at = 0;
  #used = 0;
  readonly #offsets = new Uint32Array(MAX_PARTS);
  readonly #lengths = new Uint32Array(MAX_PARTS);
  #parts = 0;
  #segments = 0;
  #sealed = 0;
  #peer: Peer | null = null;
  #keypair: Keypair | null = null;
  #endpoint: EndpointWords | null = null;
  #socket: DatagramSocket | null = null;
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
   * @param room The number of slots that must be free. It is one more than needed, because the packet may belong to
   * another session.
   */
  place(room = 2): number | null {
    const { lanes } = this;
    if (this.#worker < 0) {
      if (lanes.room(OUT) < room) return null;
      this.#worker = lanes.pick(OUT);
      if (this.#worker < 0) return null;
      this.#slot = lanes.takeSlot(OUT, this.#worker);
      this.#at = lanes.slotAt(OUT, this.#worker, this.#slot);
      this.#used = 0;
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
    if (this.#parts > 0 && (keypair !== this.#keypair || endpoint !== this.#endpoint)) {
      const packet = bytes.subarray(at, at + length);
      this.post();
      if (this.place(1) === null) {
        this.#own(packet);
        return;
      }
      lanes.bytes(this.#worker).set(packet, this.#at);
    }
    this.#peer = peer;
    this.#keypair = keypair;
    this.#endpoint = endpoint;
    this.#socket = socket;
    this.#offsets[this.#parts] = this.#used;
    this.#lengths[this.#parts] = length;
    this.#parts++;
    this.#segments += segments;
    this.#sealed += sealed;
    this.#used += length + 15 & ~15;
    const full = this.#sealed >= FULL || this.#parts === MAX_PARTS ||
      this.#segments >= MAX_SEALED / 2 ||
      this.#used > INNER_BYTES - PACKET_BYTES;
    if (full) this.post();
  }

  /** Posts the current job. Called before a turn continues with anything else. */
  post(): void {
    if (this.#worker < 0) return;
    const { path, lanes } = this;
    const parts = this.#parts, worker = this.#worker, keypair = this.#keypair;
    const few = this.#used <= FEW && parts > 0 && !lanes.hasJobs(OUT, this.#peer!);
    const handle = parts === 0 || few ? -1 : lanes.share(keypair!.slot);
    if (handle < 0 || !path.wasm.reserve(keypair!.slot, this.#segments, this.#counter)) {
      this.#postNothing();
      return;
    }
    const job = lanes.begin(OUT, worker, this.#slot, handle);
    const { unsigned: words } = lanes.board;
    words[job + Seal.counterLow] = this.#counter[0]!;
    words[job + Seal.counterHigh] = this.#counter[1]!;
    words[job + Seal.counters] = this.#segments;
    words[job + Seal.mtu] = path.mtu;
    words[job + Seal.sealedBytes] = this.#sealed;
    words[job + Seal.socket] = this.#socket!.fd!;
    words[job + Seal.segmentation] = this.#socket!.segmentation ? 1 : 0;
    words.set(this.#endpoint!, job + Seal.endpoint);
    words[job + Seal.parts] = parts;
    for (let i = 0; i < parts; i++) {
      words[job + Seal.partList + 2 * i] = this.#offsets[i]!;
      words[job + Seal.partList + 2 * i + 1] = this.#lengths[i]!;
    }
    const posted = this.#posted[lanes.ticket(OUT)]!;
    posted.peer = this.#peer;
    posted.keypair = keypair;
    posted.endpoint = this.#endpoint;
    posted.socket = this.#socket;
    posted.segments = this.#segments;
    posted.flags = this.#counter[2]! & 3;
    path.lanes!.noteTrain(OUT, this.#sealed);
    this.#clear();
    // The packets that the engine has encrypted itself were read earlier.
    sendTrain(path, this.now);
    lanes.post(OUT, worker, job);
  }

  /** Lets the engine do the current job itself, and frees the slot. */
  #postNothing(): void {
    const { lanes } = this;
    const bytes = lanes.bytes(this.#worker);
    const parts = this.#parts, at = this.#at, worker = this.#worker, slot = this.#slot;
    const peer = this.#peer;
    this.#clear();
    if (peer && lanes.hasJobs(OUT, peer)) lanes.rest();
    for (let i = 0; i < parts; i++) {
      const from = at + this.#offsets[i]!;
      this.#own(bytes.subarray(from, from + this.#lengths[i]!));
    }
    lanes.giveSlotBack(OUT, worker, slot);
  }

  /** Handles a packet that lanes do not handle. */
  #own(packet: Uint8Array): void {
    const { path } = this;
    path.wasm.memory.bytes.set(packet, path.inner);
    route(path, packet.length, this.now);
  }

  #clear(): void {
    this.#worker = -1;
    this.#parts =
      this.#segments =
      this.#sealed =
      this.#used =
        0;
    this.#peer =
      this.#keypair =
      this.#endpoint =
      this.#socket =
        null;
  }

  #completed(ticket: number, job: number): void {
    const { path, lanes } = this;
    const { drops, device } = path;
    const { unsigned: words } = lanes.board;
    const posted = this.#posted[ticket]!;
    const { peer, keypair, endpoint, socket, flags } = posted;
    const notes = words[job + Seal.notes]!;
    const segments = words[job + Seal.segments]!;
    const refused = (notes & FAILED) !== 0 ? posted.segments : words[job + Seal.refused]!;
    drops.sendError += refused;
    drops.malformedInner += words[job + Seal.malformed]!;
    if ((notes & SOURCE_LOST) !== 0 && peer!.endpoint === endpoint) clearSource(endpoint!);
    if ((notes & NO_TRAINS) !== 0) socket!.trainsRefused?.(words[job + Seal.errno]!);
    posted.peer =
      posted.keypair =
      posted.endpoint =
      posted.socket =
        null;
    const sent = refused < segments ? flags : flags | SEND_FAILED;
    device.sessions.dataSent(peer!, keypair!, segments, words[job + Seal.bytes]!, sent, this.now);
  }
}
