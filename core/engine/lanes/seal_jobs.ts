/**
 * The lane's side of jobs to encrypt and send.
 *
 * @module
 */

import type { Instance } from "../../../wasm/instance.ts";
import { ENDPOINT_WORDS, type EndpointWords, hasSource } from "../../protocol/endpoint.ts";
import type { Outlet } from "../doors.ts";
import { MAX_PAYLOAD4, MAX_SEGMENTS, Train } from "../train.ts";
import {
  type Board,
  FAILED,
  Job,
  MAX_TRAINS,
  NO_HANDLE,
  NO_TRAINS,
  OUT,
  Seal,
  SealSection,
  Section,
  SOURCE_LOST,
  TRAIN_WORDS,
} from "./board.ts";
import { INNER_BYTES, keyAt, SEALED_BYTES, slotAt } from "./slots.ts";

/**
 * The maximum number of datagrams of a train, so that all trains of a job have about the same length: lanes at the other
 * end open one each.
 *
 * @param bytes Of all datagrams together.
 */
function mostSegments(segments: number, bytes: number): number {
  return Math.min(MAX_SEGMENTS, Math.ceil(segments / Math.ceil(bytes / MAX_PAYLOAD4)));
}

/** Encrypts and sends. */
export class SealJobs {
  readonly #train: Train;
  readonly #endpoint: EndpointWords = new Uint32Array(ENDPOINT_WORDS);
  readonly #slots: number;
  readonly #keys: number;

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
    this.#train = new Train(slots, SEALED_BYTES);
  }

  /** Encrypts the sections of a job into trains. */
  seal(job: number): void {
    const { board: { unsigned: words } } = this;
    const slot = slotAt(this.#slots, OUT, words[job + Job.slot]!);
    words[job + Seal.trains] = words[job + Seal.malformed] = 0;
    this.#train.region = slot + INNER_BYTES;
    let at = this.#train.region;
    for (let i = 0; i < words[job + Job.sections]!; i++) at = this.#sealSection(job, i, slot, at);
  }

  /**
   * Encrypts the parts of a section, like `seal` in outbound.ts.
   *
   * @param at Where its first train begins.
   * @returns The end of its last one.
   */
  #sealSection(job: number, index: number, slot: number, at: number): number {
    const { board, wasm } = this;
    const { unsigned: words } = board;
    const train = this.#train, endpoint = this.#endpoint;
    const section = board.section(job, index);
    const handle = words[section + Section.handle]!;
    words[section + SealSection.segments] = words[section + SealSection.bytes] = 0;
    words[section + SealSection.notes] = 0;
    if (handle === NO_HANDLE) return at;
    const key = keyAt(this.#keys, handle);
    const { sealed } = wasm;
    const counters = words[section + SealSection.counters]!;
    wasm.borrow(
      key,
      words[section + SealSection.counterLow]!,
      words[section + SealSection.counterHigh]!,
      counters,
    );
    const most = mostSegments(counters, words[section + SealSection.sealedBytes]!);
    board.readEndpoint(section, endpoint);
    train.begin(null, null, endpoint, at);
    const begin = words[section + SealSection.first]!, end = begin + words[section + SealSection.parts]!;
    for (let i = begin; i < end; i++) {
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
          most - train.segments,
        );
        if (segments === 0) {
          if (train.segments > 0 && !sealed.malformed) {
            this.#endTrain(job, index);
            continue;
          }
          words[job + Seal.malformed]!++;
          break;
        }
        if (!train.takes(sealed)) {
          const { end } = train;
          this.#endTrain(job, index);
          train.begin(null, null, endpoint, end);
        }
        train.add(sealed);
        if (train.full || train.segments === most) this.#endTrain(job, index);
        first += segments;
      } while (first < sealed.total);
    }
    this.#endTrain(job, index);
    return train.end;
  }

  /** Adds the train to the list. The next one begins after it. */
  #endTrain(job: number, index: number): void {
    const { board } = this;
    const { unsigned: words } = board;
    const { at, end, length, stride, segments, ecn } = this.#train;
    const count = words[job + Seal.trains]!;
    if (segments > 0 && count < MAX_TRAINS) {
      const entry = job + Seal.trainList + TRAIN_WORDS * count;
      words[entry] = at;
      words[entry + 1] = length;
      words[entry + 2] = segments > 1 ? stride : 0;
      words[entry + 3] = ecn;
      words[entry + 4] = index;
      words[job + Seal.trains] = count + 1;
      const section = board.section(job, index);
      words[section + SealSection.segments]! += segments;
      words[section + SealSection.bytes]! += length;
    }
    this.#train.begin(null, null, this.#endpoint, end);
  }

  /** Sends the trains of a job, which any lane may have encrypted. */
  send(job: number): void {
    const { board } = this;
    const { unsigned: words } = board;
    const base = board.base(words[job + Job.lane]!);
    // If this lane fails here, what it has not sent is lost.
    for (let i = 0; i < words[job + Job.sections]!; i++) {
      const section = board.section(job, i);
      words[section + SealSection.refused] = words[section + SealSection.segments]!;
    }
    const trains = words[job + Seal.trains]!;
    for (let i = 0; i < trains; i++) this.#send(job + Seal.trainList + TRAIN_WORDS * i, job, base);
  }

  /** Sends the train of an entry of the list. */
  #send(entry: number, job: number, base: number): void {
    const { board, outlet } = this;
    const { unsigned: words } = board;
    const endpoint = this.#endpoint;
    const section = board.section(job, words[entry + 4]!);
    board.readEndpoint(section, endpoint);
    const hadSource = hasSource(endpoint);
    const trains = words[section + SealSection.segmentation] !== 0;
    outlet.useSocket(words[section + SealSection.socket]!, endpoint[0] === 6 ? 6 : 4, trains);
    const length = words[entry + 1]!, stride = words[entry + 2]!;
    const refused = outlet.send(endpoint, base + words[entry]!, length, stride, words[entry + 3]!);
    words[section + SealSection.refused]! -= (stride === 0 ? 1 : Math.ceil(length / stride)) - refused;
    if (hadSource && !hasSource(endpoint)) {
      words[section + SealSection.notes]! |= SOURCE_LOST;
      board.writeEndpoint(section, endpoint);
    }
    if (outlet.trainsRefused !== 0) {
      words[section + SealSection.notes]! |= NO_TRAINS;
      words[section + SealSection.errno] = outlet.trainsRefused;
      words[section + SealSection.segmentation] = 0;
      outlet.trainsRefused = 0;
    }
  }
}

/** Writes the result of a job of a lane that failed. */
export function loseSealing(board: Board, job: number): void {
  const { unsigned: words } = board;
  words[job + Seal.trains] = words[job + Seal.malformed] = 0;
  for (let i = 0; i < words[job + Job.sections]!; i++) {
    const section = board.section(job, i);
    words[section + SealSection.segments] = words[section + SealSection.bytes] = 0;
    words[section + SealSection.notes] = FAILED;
  }
}
