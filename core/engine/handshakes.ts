/**
 * The queue of handshake messages. They cost up to a millisecond each, so they wait for their share of a turn, and
 * how long the queue is and how long they wait is what "under load" means (whitepaper §5.3).
 *
 * @module
 */

import type { Milliseconds, Now } from "../protocol/clock.ts";
import type { EndpointWords } from "../protocol/endpoint.ts";
import { isHandshakeMessage } from "../protocol/messages.ts";
import type { PacketPath } from "./path.ts";

/** The kernel's MAX_QUEUED_INCOMING_HANDSHAKES (messages.h); the newest is dropped beyond it. */
export const CAPACITY = 4_096;
/** The kernel's threshold for being under load: an eighth of the queue (receive.c). */
const LOAD_DEPTH = CAPACITY / 8;
/** A message that waited longer than this also means load: one thread serves handshakes and packets alike. */
const LOAD_AGE = 100;
/** Load is assumed for this long after it was last seen (receive.c). */
const LOAD_LINGER = 1_000;

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

  constructor(readonly path: PacketPath) {}

  /** Messages that wait. */
  get length(): number {
    return this.#queue.length - this.#head;
  }

  /** Takes a copy of a message; what has no handshake's type and length is counted and dropped. */
  enqueue(datagram: Uint8Array, from: EndpointWords, now: Now): void {
    if (!isHandshakeMessage(datagram)) {
      this.path.drops.malformedOuter++;
    } else if (!this.path.device.mac1Valid(datagram)) {
      this.path.drops.badMac1++;
    } else if (this.length >= CAPACITY) {
      this.path.drops.handshakeQueueFull++;
    } else {
      this.#queue.push({ bytes: datagram.slice(), from: from.slice(), since: now.boot });
    }
  }

  /**
   * Handles one message. More would keep packets waiting: its cryptography takes a quarter of a millisecond.
   *
   * @returns Whether more wait.
   */
  turn(now: Now): boolean {
    if (this.length === 0) return false;
    const { bytes, from, since } = this.#queue[this.#head]!;
    if (this.length >= LOAD_DEPTH || now.boot - since >= LOAD_AGE) {
      this.#loadedUntil = now.boot + LOAD_LINGER;
    }
    this.#head++;
    this.path.device.handleHandshake(bytes, from, now.boot < this.#loadedUntil, now);
    // Taken entries are cut off now and then, not one by one, so that taking stays O(1).
    if (this.#head === this.#queue.length || this.#head >= CAPACITY) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return this.length > 0;
  }
}
