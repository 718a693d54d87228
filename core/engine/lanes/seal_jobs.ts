/**
 * The lane's side of jobs to encrypt and send.
 *
 * @module
 */

import type { Wasm } from "../../../wasm/mod.ts";
import type { Outlet } from "../doors.ts";
import { MAX_PAYLOAD4, MAX_SEGMENTS, Train } from "../train.ts";
import { type Board, Job, MAX_TRAINS, NO_TRAINS, OUT, Seal, SOURCE_LOST } from "./board.ts";
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
  readonly #slots: number;
  readonly #keys: number;

  /** @param slots Where the lane's slots are. @param keys Where its table of keys is. */
  constructor(
    readonly board: Board,
    readonly wasm: Wasm,
    readonly outlet: Outlet,
    slots: number,
    keys: number,
  ) {
    this.#slots = slots;
    this.#keys = keys;
    this.#train = new Train(slots, SEALED_BYTES);
  }

  /** Encrypts the parts of a job into trains, like `seal` in outbound.ts. */
  seal(job: number): void {
    const { board: { unsigned: words }, wasm } = this;
    const train = this.#train;
    const slot = slotAt(this.#slots, OUT, words[job + Job.slot]!);
    const key = keyAt(this.#keys, words[job + Job.handle]!);
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
    const most = mostSegments(words[job + Seal.counters]!, words[job + Seal.sealedBytes]!);
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
          most - train.segments,
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
        if (train.full || train.segments === most) this.#endTrain(job);
        first += segments;
      } while (first < sealed.total);
    }
    this.#endTrain(job);
  }

  /** Adds the train to the list. The next one begins after it. */
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

  /** Sends the trains of a job, which any lane may have encrypted. */
  send(job: number): void {
    const { board, outlet } = this;
    const { unsigned: words } = board;
    const base = board.base(words[job + Job.lane]!);
    const endpoint = board.endpoint(job);
    const source = endpoint[8]! | endpoint[9]! | endpoint[10]! | endpoint[11]!;
    const socket = words[job + Seal.socket]!;
    outlet.useSocket(socket, endpoint[0] === 6 ? 6 : 4, words[job + Seal.segmentation] !== 0);
    // If this lane fails here, what it has not sent is lost.
    words[job + Seal.refused] = words[job + Seal.segments]!;
    const trains = words[job + Seal.trains]!;
    for (let i = 0; i < trains; i++) {
      const entry = job + Seal.trainList + 4 * i;
      const length = words[entry + 1]!, stride = words[entry + 2]!;
      const refused = outlet.send(endpoint, base + words[entry]!, length, stride, words[entry + 3]!);
      words[job + Seal.refused]! -= (stride === 0 ? 1 : Math.ceil(length / stride)) - refused;
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
}
