/**
 * Trains of datagrams that lanes decrypt and write. They are received directly into a lane's memory. The engine handles
 * the rest itself (inbound.ts): handshake messages, trains of several sessions, the first data of a session, which
 * confirms its keys, and short trains while lanes have no job of their peer.
 *
 * @module
 */

import type { Now } from "../../protocol/clock.ts";
import { ENDPOINT_WORDS } from "../../protocol/endpoint.ts";
import type { Keypair } from "../../protocol/keypair.ts";
import { MESSAGE_DATA } from "../../protocol/messages.ts";
import type { DatagramSocket } from "../doors.ts";
import { openFlags } from "../inbound.ts";
import { separatedInLane } from "../joining.ts";
import type { PacketPath } from "../path.ts";
import { IN, MAX_OPENED, Open, RING } from "./board.ts";
import type { Lanes } from "./lanes.ts";
import { FEW } from "./outgoing.ts";

interface Posted {
  keypair: Keypair | null;
  readonly from: Uint32Array;
}

/** The engine's side of decryption in lanes. */
export class Incoming {
  readonly #posted: Posted[] = Array.from({ length: RING }, () => ({
    keypair: null,
    from: new Uint32Array(ENDPOINT_WORDS),
  }));
  #worker = -1;
  #slot = 0;
  /** Offset of the slot in the lane's memory. */
  #at = 0;
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
    this.#worker = lanes.pick(IN);
    if (this.#worker < 0) return null;
    this.#slot = lanes.takeSlot(IN, this.#worker);
    this.#at = lanes.slotAt(IN, this.#worker, this.#slot);
    return lanes.origin(this.#worker) + this.#at;
  }

  /** Called if nothing was received. */
  giveBack(): void {
    this.lanes.giveSlotBack(IN, this.#worker, this.#slot);
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
    const index = this.#commonIndex(bytes, length, segment);
    const keypair = index < 0 ? null : path.device.sessions.keypair(index, this.now);
    if (index >= 0 && keypair === null) {
      path.drops.unknownIndex += Math.ceil(length / segment);
      this.giveBack();
      return false;
    }
    const waiting = keypair !== null && lanes.hasJobs(IN, keypair.peer);
    const few = length <= FEW && !waiting;
    const forUs = keypair === null || few || keypair === keypair.peer.keypairs.next;
    const handle = forUs ? -1 : lanes.share(keypair.slot);
    if (handle < 0) {
      // Earlier trains of the peer must be written first. The data of a mixed train may be of any peer.
      if (keypair === null ? this.#hasData(bytes, length, segment) : waiting) lanes.rest();
      path.wasm.memory.bytes.set(bytes.subarray(this.#at, this.#at + length), path.outer);
      this.giveBack();
      return true;
    }
    const worker = this.#worker;
    const job = lanes.begin(IN, worker, this.#slot, handle);
    const { unsigned: words } = lanes.board;
    words[job + Open.length] = length;
    words[job + Open.stride] = segment;
    words[job + Open.flags] = openFlags(path, socket);
    words[job + Open.peer] = keypair!.peer.number;
    const posted = this.#posted[lanes.ticket(IN)]!;
    posted.keypair = keypair;
    posted.from.set(socket.from);
    lanes.post(IN, worker, job);
    return false;
  }

  /** The receiver index that all datagrams have; -1 if they are not all data with one index, or are too many. */
  #commonIndex(bytes: Uint8Array, length: number, stride: number): number {
    if (length > MAX_OPENED * stride) return -1;
    let view = this.#views.get(bytes.buffer);
    if (view === undefined) this.#views.set(bytes.buffer, view = new DataView(bytes.buffer));
    const base = bytes.byteOffset + this.#at, end = base + length;
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

  /** Whether one of the datagrams is data. GRO may join a handshake message with shorter data behind it. */
  #hasData(bytes: Uint8Array, length: number, stride: number): boolean {
    for (let at = this.#at; at < this.#at + length; at += stride) if (bytes[at] === MESSAGE_DATA) return true;
    return false;
  }

  #completed(ticket: number, job: number): void {
    const { path, lanes } = this;
    const { drops, device } = path;
    const { unsigned: words } = lanes.board;
    const posted = this.#posted[ticket]!;
    const keypair = posted.keypair!;
    posted.keypair = null;
    drops.badTag += words[job + Open.badTag]!;
    drops.replayed += words[job + Open.replayed]!;
    drops.malformedOpened += words[job + Open.malformed]!;
    drops.malformedOuter += words[job + Open.tooShort]!;
    drops.wrongSource += words[job + Open.wrongSource]!;
    drops.tunError += words[job + Open.tunErrors]!;
    path.joined |= words[job + Open.joined]!;
    const separated = words[job + Open.separated]!;
    if (separated !== 0) separatedInLane(path, separated);
    const authenticated = words[job + Open.authenticated]!;
    // Only datagrams that passed the AEAD and the replay window may change the endpoint or a timer (whitepaper §2.1, §6).
    if (authenticated === 0) return;
    device.sessions.dataReceived(
      keypair,
      authenticated,
      words[job + Open.keepalives]!,
      words[job + Open.wireBytes]!,
      posted.from,
      this.now,
    );
  }
}
