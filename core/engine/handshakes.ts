/**
 * The queue of handshake messages: those that were received, and, with lanes, our initiations. Each takes up to half a
 * millisecond, so they are handled in steps, a few per turn. "Under load" (whitepaper §5.3) means that the queue of
 * received messages is long or that they have waited long.
 *
 * @module
 */

import type { Milliseconds, Now } from "../protocol/clock.ts";
import type { EndpointWords } from "../protocol/endpoint.ts";
import { isHandshakeMessage } from "../protocol/messages.ts";
import type { Multiplication, Steps } from "../protocol/multiplication.ts";
import type { Lanes } from "./lanes/lanes.ts";
import type { PacketPath } from "./path.ts";

/** The kernel's MAX_QUEUED_INCOMING_HANDSHAKES (messages.h); the newest is dropped beyond it. */
export const CAPACITY = 4_096;
/** The kernel's threshold for being under load: an eighth of the queue (receive.c). */
const LOAD_DEPTH = CAPACITY / 8;
/** A message that has waited this many milliseconds also means load, because packets use the same thread. */
const LOAD_AGE = 100;
/** Milliseconds for which load is assumed after it was last seen (receive.c). */
const LOAD_LINGER = 1_000;
/** The time for handshakes in a turn, as a fraction of the time that packets took. */
const SHARE = 1 / 4;
/** Milliseconds of one multiplication, which is the minimum time for handshakes in a turn. */
const STEP = 0.07;
/** Multiplications of an initiation of ours, except the first to a peer. */
const INITIATING = 2;
/** Messages that are handled at the same time per lane. Each needs one to three multiplications at a time. */
const PER_LANE = 4;
/**
 * The maximum number of milliseconds for handshakes in one turn. A turn may be long because the machine was suspended.
 */
const MOST = 5;

interface Waiting {
  bytes: Uint8Array;
  from: EndpointWords;
  since: Milliseconds;
}

/** A message that is being handled. */
interface Handling {
  readonly steps: Steps<void>;
  /** What it waits for. */
  needs: readonly Multiplication[];
}

/** Handshake messages between the socket and the protocol. */
export class Handshakes {
  #queue: Waiting[] = [];
  #head = 0;
  #loadedUntil = 0;
  /** One, or as many as lanes can do multiplications for. */
  readonly #handled: Handling[] = [];
  /** Initiations of ours that have not begun. */
  #initiations: Steps<void>[] = [];
  /** Whether the last message that was begun was received. Received messages and ours take turns. */
  #lastWasReceived = false;
  #era = 0;

  constructor(readonly path: PacketPath) {
    path.device.sessions.initiations.postpone = (steps) => this.#postpone(steps);
  }

  /** Messages that wait. */
  get length(): number {
    return this.#queue.length - this.#head;
  }

  /** Copies a message to the queue if it passes all cheap checks. */
  enqueue(datagram: Uint8Array, from: EndpointWords, now: Now): void {
    const { device, drops } = this.path;
    if (!isHandshakeMessage(datagram)) {
      drops.malformedOuter++;
    } else if (device.handshakes.arrived(datagram, now)) {
      if (this.length >= CAPACITY) drops.handshakeQueueFull++;
      else this.#queue.push({ bytes: datagram.slice(), from: from.slice(), since: now.boot });
    }
  }

  /**
   * Handles messages: one step of one message, because more would delay packets. After a long turn it does more steps,
   * so that handshakes get their share of a busy thread.
   *
   * @param now When the turn began; the same object in each turn.
   * @param time Reads the same clock.
   * @returns Whether there is more to do for this thread.
   */
  turn(now: Now, time: () => number): boolean {
    if (this.#era !== this.path.device.handshakes.era) this.#dropAll();
    if (!this.canGoOn) return false;
    const begun = time();
    const least = this.#lanes ? STEP : 0;
    const end = begun + Math.max(least, Math.min(MOST, (begun - now.boot) * SHARE));
    do this.#step(now); while (this.canGoOn && time() < end);
    return this.canGoOn;
  }

  /** Drops all messages, and erases the secrets of those that are being handled. */
  clear(): void {
    this.path.lanes?.lanes.eraseMultiplications();
    for (const { steps } of this.#handled) steps.return();
    this.#handled.length = 0;
    this.#initiations = [];
    this.#queue = [];
    this.#head = 0;
  }

  /** The lanes that compute multiplications, if there are any. */
  get #lanes(): Lanes | null {
    const lanes = this.path.lanes?.lanes;
    return lanes?.working ? lanes : null;
  }

  /** Messages that are handled at the same time. */
  get #limit(): number {
    return 1 + PER_LANE * (this.#lanes?.count ?? 0);
  }

  /** Whether there is work for this thread. */
  get canGoOn(): boolean {
    if (this.#canBegin) return true;
    // Called in each turn, so nothing is allocated here.
    for (const handling of this.#handled) {
      if (isReady(handling)) return true;
      for (const { begun } of handling.needs) if (!begun) return true;
    }
    return false;
  }

  get #canBegin(): boolean {
    return (this.length > 0 || this.#initiations.length > 0) && this.#handled.length < this.#limit;
  }

  /** Lanes compute the multiplications of our initiations too. Without lanes, an initiation is made at once. */
  #postpone(steps: Steps<void>): boolean {
    if (this.#lanes) {
      this.#initiations.push(steps);
      return true;
    }
    for (let i = 0; i < INITIATING; i++) this.path.lanes?.noteMultiplication();
    return false;
  }

  /** Begins a message, computes a multiplication if no lane takes it, and continues a message: each at most once. */
  #step(now: Now): void {
    if (this.#canBegin) this.#begin(now);
    this.#multiply();
    const ready = this.#handled.find(isReady);
    if (ready) this.#goOn(ready);
  }

  /** Passes multiplications to lanes until one must be computed here. */
  #multiply(): void {
    for (const { needs } of this.#handled) {
      for (const multiplication of needs) {
        if (multiplication.begun) continue;
        this.path.lanes?.noteMultiplication();
        if (this.#lanes?.multiply(multiplication)) continue;
        return multiplication.run(this.path.device.crypto);
      }
    }
  }

  #begin(now: Now): void {
    this.#lastWasReceived = this.length > 0 && !(this.#lastWasReceived && this.#initiations.length > 0);
    const steps = this.#lastWasReceived ? this.#take(now) : this.#initiations.shift()!;
    const handling: Handling = { steps, needs: [] };
    this.#handled.push(handling);
    this.#goOn(handling);
  }

  #goOn(handling: Handling): void {
    const { done, value } = handling.steps.next();
    if (done) this.#handled.splice(this.#handled.indexOf(handling), 1);
    else handling.needs = value;
  }

  /**
   * The private key has changed, or the interface was down. Messages that are being handled detect this and erase their
   * secrets. Initiations that have not begun may be newer.
   */
  #dropAll(): void {
    this.#era = this.path.device.handshakes.era;
    this.path.lanes?.lanes.eraseMultiplications();
    for (const { steps } of this.#handled) steps.next();
    this.#handled.length = 0;
  }

  #take(now: Now): Steps<void> {
    const { bytes, from, since } = this.#queue[this.#head]!;
    if (this.length >= LOAD_DEPTH || now.boot - since >= LOAD_AGE) {
      this.#loadedUntil = now.boot + LOAD_LINGER;
    }
    this.#head++;
    // Entries that were taken are removed many at a time, so that taking one is O(1).
    if (this.#head === this.#queue.length || this.#head >= CAPACITY) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return this.path.device.handshakes.steps(bytes, from, now.boot < this.#loadedUntil, now);
  }
}

function isReady({ needs }: Handling): boolean {
  return needs.every(({ done }) => done);
}
