/**
 * The queue of handshake messages. Each costs up to half a millisecond, so they are handled in steps, few in each turn.
 * "Under load" (whitepaper §5.3) means that the queue is long or that its messages wait long.
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
/** A message that waited for so many milliseconds also means load, since packets use the same thread. */
const LOAD_AGE = 100;
/** Milliseconds for which load is assumed after it was last seen (receive.c). */
const LOAD_LINGER = 1_000;
/** The time that handshakes get in a turn, as a part of the time that packets took in it. */
const SHARE = 1 / 4;
/** Milliseconds of a multiplication, which is what a turn has for them at least. */
const STEP = 0.07;
/** Messages that are handled at the same time for each lane: each needs one to three multiplications at a time. */
const PER_LANE = 4;
/** The most milliseconds that they get in one turn. A turn is long if the machine was suspended in it. */
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
  #era = 0;

  constructor(readonly path: PacketPath) {}

  /** Messages that wait. */
  get length(): number {
    return this.#queue.length - this.#head;
  }

  /** Takes a copy of a message, if it passes all checks that cost little. */
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
   * Handles messages: one step of one message, since more would keep packets waiting. After a long turn it does more steps,
   * so that handshakes get their part of a busy thread.
   *
   * @param now When the turn began; the same object in each turn.
   * @param time Reads the same clock.
   * @returns Whether there is more to do for this thread.
   */
  turn(now: Now, time: () => number): boolean {
    if (this.#era !== this.path.device.handshakes.era) this.#dropAll();
    if (!this.#canGoOn) return false;
    const begun = time();
    const least = this.#lanes ? STEP : 0;
    const end = begun + Math.max(least, Math.min(MOST, (begun - now.boot) * SHARE));
    do this.#step(now); while (this.#canGoOn && time() < end);
    return this.#canGoOn;
  }

  /** Drops all messages, and erases the secrets of those that are being handled. */
  clear(): void {
    this.path.lanes?.lanes.eraseMultiplications();
    for (const { steps } of this.#handled) steps.return();
    this.#handled.length = 0;
    this.#queue = [];
    this.#head = 0;
  }

  /** Those that multiply, if there are any. */
  get #lanes(): Lanes | null {
    const lanes = this.path.lanes?.lanes;
    return lanes?.working ? lanes : null;
  }

  /** Messages that are handled at the same time. */
  get #limit(): number {
    return 1 + PER_LANE * (this.#lanes?.count ?? 0);
  }

  get #canGoOn(): boolean {
    return this.length > 0 && this.#handled.length < this.#limit ||
      this.#handled.some((handling) => isReady(handling) || handling.needs.some(({ begun }) => !begun));
  }

  /** Begins with a message, does a multiplication if no lane takes it, and goes on with a message: each at most once. */
  #step(now: Now): void {
    if (this.length > 0 && this.#handled.length < this.#limit) this.#begin(now);
    this.#multiply();
    const ready = this.#handled.find(isReady);
    if (ready) this.#goOn(ready);
  }

  /** Gives multiplications to lanes, until one has to be done here. */
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
    const handling: Handling = { steps: this.#take(now), needs: [] };
    this.#handled.push(handling);
    this.#goOn(handling);
  }

  #goOn(handling: Handling): void {
    const { done, value } = handling.steps.next();
    if (done) this.#handled.splice(this.#handled.indexOf(handling), 1);
    else handling.needs = value;
  }

  /** Our key has changed, or the interface was down: messages that are being handled find out, and erase their secrets. */
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
