/**
 * How many handshake messages of one source are handled while we are under load (whitepaper §5.3).
 *
 * @module
 */

import type { Milliseconds } from "./clock.ts";
import type { EndpointWords } from "./endpoint.ts";

/** Messages per second and source. All numbers here are the kernel's (ratelimiter.c). */
const PER_SECOND = 20;
const BURST = 5;
/** What a message costs, in milliseconds. */
const COST = 1_000 / PER_SECOND;
const MAX_TOKENS = COST * BURST;
/** Milliseconds of silence after which a source is forgotten. Its bucket is full again after a quarter of that. */
const IDLE = 1_000;
/** The most sources that are remembered. New ones beyond this are refused, so that a flood has a bounded cost. */
export const CAPACITY = 65_536;

interface Bucket {
  /** Messages that may be handled, in milliseconds of their cost. */
  tokens: number;
  usedAt: number;
}

/** Token buckets by IPv4 address or IPv6 /64, since one customer usually has a whole /64. */
export class RateLimiter {
  /** In order of last use, so that idle ones come first. */
  readonly #buckets = new Map<string, Bucket>();

  /** Sources remembered. */
  get size(): number {
    return this.#buckets.size;
  }

  /** When the next source may be forgotten, in milliseconds; Infinity if there is none. */
  get nextDeadline(): number {
    for (const { usedAt } of this.#buckets.values()) return usedAt + IDLE + 1;
    return Infinity;
  }

  /** Whether a message of this sender may be handled. Takes its cost from the sender's bucket. */
  allow(from: EndpointWords, now: Milliseconds): boolean {
    this.sweep(now);
    const key = bucketKey(from);
    const bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      if (this.#buckets.size >= CAPACITY) return false;
      this.#buckets.set(key, { tokens: MAX_TOKENS - COST, usedAt: now });
      return true;
    }
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    const tokens = Math.min(MAX_TOKENS, bucket.tokens + now - bucket.usedAt);
    const allowed = tokens >= COST;
    bucket.tokens = allowed ? tokens - COST : tokens;
    bucket.usedAt = now;
    return allowed;
  }

  /** Forgets idle sources. Visits no others, so that calling it often costs little. */
  sweep(now: Milliseconds): void {
    for (const [key, { usedAt }] of this.#buckets) {
      if (now - usedAt <= IDLE) return;
      this.#buckets.delete(key);
    }
  }
}

/** A string, because V8 hashes strings with a seed that an attacker cannot know. Families differ in length. */
function bucketKey(from: EndpointWords): string {
  const a = from[2]!, b = from[3]!;
  return from[0] === 6
    ? String.fromCharCode(a & 0xffff, a >>> 16, b & 0xffff, b >>> 16)
    : String.fromCharCode(a & 0xffff, a >>> 16);
}
