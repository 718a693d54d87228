/**
 * What the engine's thread and its lanes share: a SharedArrayBuffer of 32-bit words, changed by Atomics. Nothing secret
 * is in it.
 *
 * There is a ring of jobs for each direction. The engine posts jobs at its end, and each is given to one lane. Lanes work
 * on them at the same time, and their results leave in the order of the ring: a lane that has done its job tries to take
 * the direction's role, and whoever has the role releases all jobs at the front of the ring that are done, whoever did
 * them. So no lane waits for its turn.
 *
 * @module
 */

import { MAX_FOUND, WINDOW_BYTES } from "../../../wasm/mod.ts";
import { ENDPOINT_WORDS } from "../../protocol/endpoint.ts";

/** Lanes, the engine's own included, which is number 0. */
export const MAX_LANES = 8;
/** Jobs of one direction. A power of two, because tickets overflow. */
export const RING = 64;
/** Sessions that lanes can have keys of. */
export const HANDLES = 256;

/** The way of a packet. */
export const OUT = 0;
export const IN = 1;
export type Direction = typeof OUT | typeof IN;

/** What has become of a job. */
export const JobState = {
  /** There is none. */
  Free: 0,
  /** A lane has it. */
  Posted: 1,
  /** It can be released when it is the first. */
  Done: 2,
  /** Its packets were sent or written; the engine has not taken note. */
  Released: 3,
} as const;

/** Multiplications that a lane can have. */
export const PLACES = 8;
/** What has become of a multiplication in such a place. */
export const PlaceState = {
  /** There is none. */
  Free: 0,
  /** A lane has it. */
  Given: 1,
  /** The result is there. */
  Done: 2,
  /** There is none: the point is of low order. */
  LowOrder: 3,
} as const;

/** What has become of a lane. */
export const LaneState = { None: 0, Starting: 1, Ready: 2, Failed: 3, Ended: 4 } as const;

/** Words of a job in both directions. */
export const Job = {
  state: 0,
  lane: 1,
  /** Its place in the lane's memory. */
  slot: 2,
  /** Whose keys. */
  handle: 3,
} as const;

/** Most inner packets of one job to seal. */
export const MAX_PARTS = 64;
/** Most datagrams of one job to seal. */
export const MAX_SEALED = 1_024;
/** Most trains of one job: a part may begin a new one, and so does a full one. */
export const MAX_TRAINS: number = MAX_PARTS + MAX_SEALED / 64;

/** Words of a job to seal and send. Those from `trains` on are results. */
export const Seal = {
  counterLow: 4,
  counterHigh: 5,
  counters: 6,
  /** Largest packet that padding respects. */
  mtu: 7,
  /** Largest UDP payload. */
  limit: 8,
  /** Descriptor of the socket. */
  socket: 9,
  /** Whether it sends trains. */
  segmentation: 10,
  endpoint: 11,
  parts: 23,
  trains: 24,
  segments: 25,
  bytes: 26,
  refused: 27,
  malformed: 28,
  notes: 29,
  /** Why trains are no longer sent, if the notes say so. */
  errno: 30,
  /** Offset in the slot and length of each part. */
  partList: 32,
  /** Offset in the lane's memory, length, stride and ECN bits of each train. */
  trainList: 32 + 2 * MAX_PARTS,
} as const;

/** `Seal.notes`: the source address of the endpoint is no longer ours. */
export const SOURCE_LOST = 1;
/** `Seal.notes`: the socket refused a train for good. */
export const NO_TRAINS = 2;
/** `Seal.notes`: the lane failed; nothing was sent. */
export const FAILED = 4;

/** Words of a job to open and write. Those from `packets` on are results. */
export const Open = {
  length: 4,
  stride: 5,
  /** As for `Wasm.openBatch`. */
  flags: 6,
  /** The number of the peer whose allowed IPs count. */
  peer: 7,
  packets: 8,
  authenticated: 9,
  keepalives: 10,
  wireBytes: 11,
  badTag: 12,
  replayed: 13,
  malformed: 14,
  tooShort: 15,
  wrongSource: 16,
  tunErrors: 17,
  /** Protocols of which joined packets were taken, and of which they were refused but taken one by one. */
  joined: 18,
  separated: 19,
  /**
   * Offset in the lane's memory of the first part and its length, count of parts, offset of their iovecs, total length,
   * and the protocol as for `Wasm.openBatch`.
   */
  packetList: 32,
} as const;
export const PACKET_WORDS = 6;
/** Most datagrams of a job to open. */
export const MAX_OPENED: number = Math.min(MAX_FOUND, 64);

const JOB_WORDS = Seal.trainList + 4 * MAX_TRAINS;

/** Words of a lane. */
export const LaneWord = {
  state: 0,
  /** Machine address of its memory. */
  baseLow: 1,
  baseHigh: 2,
  /** Bytes of its memory. */
  size: 3,
  /** Offset of its slots. */
  slots: 4,
  /** Offset of its table of keys. */
  keys: 5,
  /** Jobs that it was given, and has done, ever. */
  posted: 6,
  taken: 7,
  /** Whether it waits for `posted` to change. */
  sleeps: 8,
  /** Whether no call has left anything of a key on its stack. */
  clean: 9,
  /** 1: it is to end. */
  stop: 10,
  /** Offset of its places for multiplications. */
  places: 11,
  /**
   * What it is to do: a job's place in the ring to seal, that in the ring to open plus `RING`, or what it is told about a
   * multiplication plus `2 * RING`.
   */
  queue: 16,
} as const;
const LANE_WORDS = LaneWord.queue + 2 * RING;

/** Words of the board. */
export const BoardWord = {
  /** Who releases jobs, by direction: 0 nobody. */
  role: 0,
  /** The next ticket to be released, by direction. */
  head: 2,
  /** The next ticket to be posted, by direction. */
  tail: 4,
  /** 0 if the engine is awake; 1 if it wants to hear when a ring is empty, 2 when any job was released. */
  engineSleeps: 6,
  /** Machine address of the words of the allowed IPs, and their number. */
  trieLow: 7,
  trieHigh: 8,
  trieLength: 9,
} as const;
const LOCKS = 16;
const WINDOWS = LOCKS + HANDLES;
const WINDOW_WORDS = WINDOW_BYTES / 4;
const LANES = WINDOWS + HANDLES * WINDOW_WORDS;
const JOBS = LANES + MAX_LANES * LANE_WORDS;
const PLACE_STATES = JOBS + 2 * RING * JOB_WORDS;
const WORDS = PLACE_STATES + MAX_LANES * PLACES;

/** Spins before a thread that wants a lock sleeps; whoever has it needs a microsecond. */
const SPINS = 200;

/** The words, by name. */
export class Board {
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly unsigned: Uint32Array<SharedArrayBuffer>;
  readonly #windows: Uint32Array[] = [];

  constructor(readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(4 * WORDS)) {
    this.words = new Int32Array(buffer);
    this.unsigned = new Uint32Array(buffer);
    for (let handle = 0; handle < HANDLES; handle++) {
      const at = WINDOWS + handle * WINDOW_WORDS;
      this.#windows.push(this.unsigned.subarray(at, at + WINDOW_WORDS));
    }
  }

  /** Word of a lane's words. */
  lane(number: number): number {
    return LANES + number * LANE_WORDS;
  }

  /** Word of a job's words. @param ticket Its number in the order of posting. */
  job(direction: Direction, ticket: number): number {
    return JOBS + (direction * RING + (ticket & RING - 1)) * JOB_WORDS;
  }

  /** Word of the state of a place for a multiplication. */
  place(lane: number, place: number): number {
    return PLACE_STATES + lane * PLACES + place;
  }

  /** The replay window of a session that lanes have. Only whoever has the lock may touch it. */
  window(handle: number): Uint32Array {
    return this.#windows[handle]!;
  }

  /** Waits for a session's replay window to be ours. */
  lock(handle: number): void {
    const at = LOCKS + handle;
    for (let spins = 0; Atomics.compareExchange(this.words, at, 0, 1) !== 0; spins++) {
      if (spins > SPINS) Atomics.wait(this.words, at, 1, 1);
    }
  }

  unlock(handle: number): void {
    const at = LOCKS + handle;
    Atomics.store(this.words, at, 0);
    Atomics.notify(this.words, at, 1);
  }

  /** Whether all jobs of a direction were released. */
  drained(direction: Direction): boolean {
    return Atomics.load(this.words, BoardWord.head + direction) ===
      Atomics.load(this.words, BoardWord.tail + direction);
  }

  /** The machine address of a lane's memory. */
  base(number: number): number {
    const at = this.lane(number);
    return this.unsigned[at + LaneWord.baseHigh]! * 2 ** 32 + this.unsigned[at + LaneWord.baseLow]!;
  }

  /** The endpoint of a job to seal. */
  endpoint(job: number): Uint32Array {
    return this.unsigned.subarray(job + Seal.endpoint, job + Seal.endpoint + ENDPOINT_WORDS);
  }
}
