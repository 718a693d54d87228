/**
 * The queue of handshake messages. Each costs up to half a millisecond, so they are handled in steps, few in each turn.
 * "Under load" (whitepaper §5.3) means that the queue is long or that its messages wait long.
 *
 * @module
 */

import type { Milliseconds, Now } from "../protocol/clock.ts";
import type { EndpointWords } from "../protocol/endpoint.ts";
import { isHandshakeMessage } from "../protocol/messages.ts";
import type { Steps } from "../protocol/noise.ts";
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
/** The most milliseconds that they get in one turn. A turn is long if the machine was suspended in it. */
const MOST = 5;

interface Waiting {
  bytes: Uint8Array;
  from: EndpointWords;
  since: Milliseconds;
}

/** Handshake messages between the socket and the protocol. */
export class Handshakes {
  #queue: Waiting[] = [];
  #head = 0;
  #loadedUntil = 0;
  /** The message that is being handled. */
  #steps: Steps<void> | null = null;

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
   * @returns Whether messages still wait.
   */
  turn(now: Now, time: () => number): boolean {
    if (!this.#pending) return false;
    const begun = time();
    const end = begun + Math.min(MOST, (begun - now.boot) * SHARE);
    do {
      this.#steps ??= this.#take(now);
      if (this.#steps.next().done) this.#steps = null;
    } while (this.#pending && time() < end);
    return this.#pending;
  }

  get #pending(): boolean {
    return this.#steps !== null || this.length > 0;
  }

  /** Drops all messages, and erases the secrets of the one that is being handled. */
  clear(): void {
    this.#steps?.return();
    this.#steps = null;
    this.#queue = [];
    this.#head = 0;
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
