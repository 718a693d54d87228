/**
 * The memory that the engine's thread and its lanes share: a SharedArrayBuffer of 32-bit words, which are changed with
 * Atomics. It contains no secrets.
 *
 * There is a ring of jobs for each direction. The engine posts jobs at its end and gives each one to a lane. Lanes work
 * at the same time, but their results are released in the order of the ring. A lane that has finished its job tries to
 * take the direction's role. The lane with the role releases all finished jobs at the front of the ring, also those of
 * other lanes. So no lane waits for another.
 *
 * @module
 */

import { WINDOW_BYTES } from "../../../wasm/instance.ts";
import { ENDPOINT_WORDS, type EndpointWords } from "../../protocol/endpoint.ts";

/** The maximum number of lanes, including the engine's own, which is number 0. */
export const MAX_LANES = 8;
/** Places for jobs of one direction. A power of two, because tickets overflow. */
export const RING = 64;
/** The maximum number of sessions whose keys lanes have. */
export const HANDLES = 2_048;

/** The direction of a packet. */
export const OUT = 0;
export const IN = 1;
export type Direction = typeof OUT | typeof IN;

/** The state of a job. */
export const JobState = {
  /** There is no job. */
  Free: 0,
  /** A lane has it. */
  Posted: 1,
  /** It can be released when it is the first. */
  Done: 2,
  /** Its packets were sent or written, but the engine has not processed the result yet. */
  Released: 3,
} as const;

/** The maximum number of multiplications of a lane. */
export const PLACES = 8;
/** The state of a multiplication. */
export const PlaceState = {
  /** There is no multiplication. */
  Free: 0,
  /** A lane has it. */
  Given: 1,
  /** The result is there. */
  Done: 2,
  /** There is no result, because the point is of low order. */
  LowOrder: 3,
} as const;

/** The state of a lane. */
export const LaneState = { None: 0, Starting: 1, Ready: 2, Failed: 3, Ended: 4 } as const;

/** Words of a job in both directions. Those of its direction follow, and then its sections. */
export const Job = {
  state: 0,
  lane: 1,
  /** The index of its slot in the lane's memory. */
  slot: 2,
  /** The number of sections. A section has packets of one session: many of a busy peer, or few of one of many peers. */
  sections: 3,
  sectionList: 16,
} as const;

/** The maximum number of sections of a job. */
export const MAX_SECTIONS = 32;
export const SECTION_WORDS = 28;
/** `Section.handle`: the engine has handled the section itself. */
export const NO_HANDLE = 0xffff_ffff;
/** Words of a section in both directions. */
export const Section = {
  /** The session whose keys it uses. */
  handle: 0,
  /** The destination, or the sender. */
  endpoint: SECTION_WORDS - ENDPOINT_WORDS,
} as const;
const LISTS = Job.sectionList + MAX_SECTIONS * SECTION_WORDS;

/** The maximum number of inner packets of a job to seal. */
export const MAX_PARTS = 64;
/** The maximum number of datagrams of a part. A job with half as many gets no further part. */
export const MAX_SEALED = 1_024;
/** The maximum number of trains of a job. Each part may begin a new train, and up to 24 are full. */
export const MAX_TRAINS: number = 2 * MAX_PARTS;
export const TRAIN_WORDS = 5;

/** Words of a job to seal and send. Those from `trains` on are results. */
export const Seal = {
  /** The length that padding does not exceed. */
  mtu: 4,
  trains: 5,
  malformed: 6,
  /** Offset in the slot and length of each part. */
  partList: LISTS,
  /** Offset in the lane's memory, length, stride, ECN bits, and section of each train. */
  trainList: LISTS + 2 * MAX_PARTS,
} as const;

/** Words of a section to seal and send. Those from `segments` on are results. */
export const SealSection = {
  counterLow: 1,
  counterHigh: 2,
  counters: 3,
  /** Bytes of all datagrams, at most. */
  sealedBytes: 4,
  /** Descriptor of the socket. */
  socket: 5,
  /** Whether it sends trains. */
  segmentation: 6,
  /** The first of its parts, and how many there are. */
  first: 7,
  parts: 8,
  /** The flags of the reserved counters, for the engine. */
  flags: 9,
  segments: 10,
  bytes: 11,
  refused: 12,
  notes: 13,
  /** The errno that ended trains, if the notes have that bit. */
  errno: 14,
} as const;

/** `SealSection.notes`: the source address of the endpoint is no longer ours. */
export const SOURCE_LOST = 1;
/** `SealSection.notes`: the socket refused a train for good. */
export const NO_TRAINS = 2;
/** `SealSection.notes`: the lane failed, so nothing was sent. */
export const FAILED = 4;

/** Words of a job to open and write: results. */
export const Open = {
  packets: 4,
  badTag: 5,
  replayed: 6,
  malformed: 7,
  tooShort: 8,
  wrongSource: 9,
  tunErrors: 10,
  /** The protocols of which joined packets were accepted, and those of which only single packets were accepted. */
  joined: 11,
  separated: 12,
  /**
   * Offset in the lane's memory of the first part and its length, count of parts, offset of their iovecs, total length,
   * and the protocol as for `Wasm.openBatch`.
   */
  packetList: LISTS,
} as const;
export const PACKET_WORDS = 6;

/** Words of a section to open: a train. Those from `authenticated` on are results. */
export const OpenSection = {
  /** Offset in the slot. */
  at: 1,
  length: 2,
  stride: 3,
  /** As for `Wasm.openBatch`. */
  flags: 4,
  /** The number of the peer whose allowed IPs are checked. */
  peer: 5,
  authenticated: 6,
  keepalives: 7,
  wireBytes: 8,
} as const;
/** The maximum number of datagrams of a train to open. */
export const MAX_OPENED = 64;
/** The maximum number of datagrams of a job to open: several short trains, followed by the longest. */
export const MAX_WRITTEN: number = 2 * MAX_OPENED;

const JOB_WORDS = Math.max(
  Seal.trainList + TRAIN_WORDS * MAX_TRAINS,
  Open.packetList + PACKET_WORDS * MAX_WRITTEN,
);

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
  /** The total number of jobs that it was given, and of those that it has finished. */
  posted: 6,
  taken: 7,
  /** Whether it waits for `posted` to change. */
  sleeps: 8,
  /** Whether its stack contains no part of a key. */
  clean: 9,
  /** 1 if it must end. */
  stop: 10,
  /** Offset of its places for multiplications. */
  places: 11,
  /**
   * Its next task: a job's index in the ring to seal, the index in the ring to open plus `RING`, or the message about a
   * multiplication plus `2 * RING`.
   */
  queue: 16,
} as const;
const LANE_WORDS = LaneWord.queue + 2 * RING;

/** Words of the board. */
export const BoardWord = {
  /** The lane that releases jobs, by direction; 0 for none. */
  role: 0,
  /** The next ticket to be released, by direction. */
  head: 2,
  /** The next ticket to be posted, by direction. */
  tail: 4,
  /** 0 if the engine is awake; 1 if it must be woken when a ring is empty, 2 when any job was released. */
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

/** How often a thread tries to take a lock before it sleeps. Locks are held for about a microsecond. */
const SPINS = 200;

/** The words, by name. */
export class Board {
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly unsigned: Uint32Array<SharedArrayBuffer>;
  readonly #windows: (Uint32Array | undefined)[] = [];

  constructor(readonly buffer: SharedArrayBuffer = new SharedArrayBuffer(4 * WORDS)) {
    this.words = new Int32Array(buffer);
    this.unsigned = new Uint32Array(buffer);
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

  /** The replay window of a session. Only the thread that has the lock may use it. */
  window(handle: number): Uint32Array {
    const at = WINDOWS + handle * WINDOW_WORDS;
    return this.#windows[handle] ??= this.unsigned.subarray(at, at + WINDOW_WORDS);
  }

  /** Takes the lock of a session's replay window. */
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

  /** Word of a section's words. */
  section(job: number, index: number): number {
    return job + Job.sectionList + index * SECTION_WORDS;
  }

  /** Writes the endpoint of a section. */
  writeEndpoint(section: number, endpoint: EndpointWords): void {
    const at = section + Section.endpoint;
    for (let i = 0; i < ENDPOINT_WORDS; i++) this.unsigned[at + i] = endpoint[i]!;
  }

  /** Reads the endpoint of a section. */
  readEndpoint(section: number, into: EndpointWords): void {
    const at = section + Section.endpoint;
    for (let i = 0; i < ENDPOINT_WORDS; i++) into[i] = this.unsigned[at + i]!;
  }
}
