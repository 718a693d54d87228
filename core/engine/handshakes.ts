/**
 * The queue of handshake messages. They cost up to half a millisecond each, so they are worked on in steps, few in each
 * turn, and how long the queue is and how long they wait is what "under load" means (whitepaper §5.3).
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
/** A message that waited longer than this also means load: one thread serves handshakes and packets alike. */
const LOAD_AGE = 100;
/** Load is assumed for this long after it was last seen (receive.c). */
const LOAD_LINGER = 1_000;
/** The time that handshakes get, of what packets took in the same turn. */
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
  /** The message that is being worked on. */
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
    } else if (device.handshakeArrived(datagram, now)) {
      if (this.length >= CAPACITY) drops.handshakeQueueFull++;
      else this.#queue.push({ bytes: datagram.slice(), from: from.slice(), since: now.boot });
    }
  }

  /**
   * Goes on with messages: by one step, since more would keep packets waiting, and after a long turn by more, so that
   * packets leave handshakes a part of this thread.
   *
   * @param now When the turn began; the same object in each turn.
   * @param time What the same clock says by now.
   * @returns Whether there is more to do.
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

  /** Forgets what waits, and the secrets of what is being worked on. */
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
    // Taken entries are cut off now and then, not one by one, so that taking stays O(1).
    if (this.#head === this.#queue.length || this.#head >= CAPACITY) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return this.path.device.handshakeSteps(bytes, from, now.boot < this.#loadedUntil, now);
  }
}
