/**
 * Multiplications of handshakes (core/protocol/multiplication.ts) in lanes. Each has a place in a lane's memory with
 * the private key, the point and the result. This file has the engine's side and the lane's side. The engine erases a
 * place when it has read the result.
 *
 * @module
 */

import type { Instance } from "../../../wasm/instance.ts";
import { KEY_LENGTH } from "../../config/key.ts";
import type { Multiplication } from "../../protocol/multiplication.ts";
import type { LaneMemory } from "../doors.ts";
import { type Board, PLACES, PlaceState } from "./board.ts";

/** Bytes of a place. */
const PLACE_BYTES = 3 * KEY_LENGTH;
/** Bytes of all places of a lane. */
export const PLACES_BYTES: number = PLACES * PLACE_BYTES;

/** A lane that has places, as the engine sees it. */
export interface Multiplier {
  readonly number: number;
  readonly memory: LaneMemory;
  /** Offset of its places. */
  readonly places: number;
}

interface Given {
  readonly multiplication: Multiplication;
  readonly lane: Multiplier;
  readonly place: number;
}

/** The engine's side. */
export class GivenMultiplications {
  #given: Given[] = [];

  constructor(readonly board: Board) {}

  /** The number of multiplications in lanes, and of results that the engine has not read. */
  get count(): number {
    return this.#given.length;
  }

  /** Whether a lane has finished one of them. */
  get someDone(): boolean {
    for (const given of this.#given) if (this.#state(given) > PlaceState.Given) return true;
    return false;
  }

  /** Writes a multiplication into a place of a lane. @returns The message for the lane; -1 if it has no free place. */
  give(multiplication: Multiplication, lane: Multiplier): number {
    const { words } = this.board;
    const place = Array.from({ length: PLACES }, (_, i) => i).find((i) =>
      words[this.board.place(lane.number, i)] === PlaceState.Free
    );
    if (place === undefined) return -1;
    const { privateKey, point } = multiplication;
    const { bytes } = lane.memory;
    const at = lane.places + place * PLACE_BYTES;
    bytes.set(privateKey, at);
    if (point) bytes.set(point, at + KEY_LENGTH);
    words[this.board.place(lane.number, place)] = PlaceState.Given;
    multiplication.begun = true;
    this.#given.push({ multiplication, lane, place });
    return point ? place : PLACES + place;
  }

  /** Reads the available results. */
  take(): void {
    if (this.#given.length === 0) return;
    this.#given = this.#given.filter((given) => {
      const state = this.#state(given);
      if (state === PlaceState.Given) return true;
      const { multiplication, lane, place } = given;
      const at = lane.places + place * PLACE_BYTES + 2 * KEY_LENGTH;
      multiplication.usable = state === PlaceState.Done;
      if (multiplication.usable) {
        multiplication.out.set(lane.memory.bytes.subarray(at, at + KEY_LENGTH));
      }
      multiplication.done = true;
      this.#clear(given);
      return false;
    });
  }

  /** Erases all of them. No lane is working on one now. */
  erase(): void {
    for (const given of this.#given) this.#clear(given);
    this.#given = [];
  }

  /** A lane has failed. Others must compute its unfinished multiplications. */
  lose(lane: number): void {
    this.#given = this.#given.filter((given) => {
      if (given.lane.number !== lane || this.#state(given) !== PlaceState.Given) return true;
      given.multiplication.begun = false;
      this.#clear(given);
      return false;
    });
  }

  #state({ lane, place }: Given): number {
    return Atomics.load(this.board.words, this.board.place(lane.number, place));
  }

  #clear({ lane, place }: Given): void {
    const at = lane.places + place * PLACE_BYTES;
    lane.memory.bytes.fill(0, at, at + PLACE_BYTES);
    this.board.words[this.board.place(lane.number, place)] = PlaceState.Free;
  }
}

/** A lane's side. */
export class LaneMultiplications {
  /** @param places Where the lane's places are. */
  constructor(
    readonly board: Board,
    readonly wasm: Instance,
    readonly number: number,
    readonly places: number,
  ) {}

  /** Computes a multiplication. @param told The result of {@linkcode GivenMultiplications.give}. */
  run(told: number): void {
    const { wasm } = this;
    const place = told % PLACES;
    const at = this.places + place * PLACE_BYTES;
    const [privateKey, point, out] = [0, 1, 2].map((i) =>
      wasm.memory.bytes.subarray(at + i * KEY_LENGTH, at + (i + 1) * KEY_LENGTH)
    ) as [Uint8Array, Uint8Array, Uint8Array];
    let usable = true;
    if (told < PLACES) usable = wasm.dh(out, privateKey, point);
    else wasm.publicKey(out, privateKey);
    const state = usable ? PlaceState.Done : PlaceState.LowOrder;
    Atomics.store(this.board.words, this.board.place(this.number, place), state);
  }
}
