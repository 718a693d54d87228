/**
 * How many handshake messages a source may have served while we are under load (whitepaper §5.3).
 *
 * @module
 */

import type { Milliseconds } from "./clock.ts";
import type { EndpointWords } from "./endpoint.ts";

/** Messages per second and source; this and what follows are the kernel's numbers (ratelimiter.c). */
const PER_SECOND = 20;
const BURST = 5;
/** A message costs this much of the time that has passed. */
const COST = 1_000 / PER_SECOND;
const MAX_TOKENS = COST * BURST;
/** Sources that were silent for longer are forgotten; their bucket is full again after a quarter of it. */
const IDLE = 1_000;
/** Sources remembered; beyond it new ones are refused, so that a flood from everywhere stays a bounded cost. */
export const CAPACITY = 65_536;

interface Bucket {
  /** Milliseconds' worth of messages. */
  tokens: number;
  usedAt: number;
}

/** Token buckets by IPv4 address or IPv6 /64: a whole /64 is what one customer gets. */
export class RateLimiter {
  /** In order of last use, so that what is idle is in front. */
  readonly #buckets = new Map<string, Bucket>();

  /** Sources remembered. */
  get size(): number {
    return this.#buckets.size;
  }

  /** When something may be forgotten; Infinity with nothing remembered. */
  get nextDeadline(): number {
    for (const { usedAt } of this.#buckets.values()) return usedAt + IDLE + 1;
    return Infinity;
  }

  /** Takes a token of the sender's bucket, if it has one. */
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

  /** Forgets idle sources. Each is visited once in its life, however often this is called. */
  sweep(now: Milliseconds): void {
    for (const [key, { usedAt }] of this.#buckets) {
      if (now - usedAt <= IDLE) return;
      this.#buckets.delete(key);
    }
  }
}

/** As a string, because those hash with a seed an attacker cannot know; families differ in length. */
function bucketKey(from: EndpointWords): string {
  const a = from[2]!, b = from[3]!;
  return from[0] === 6
    ? String.fromCharCode(a & 0xffff, a >>> 16, b & 0xffff, b >>> 16)
    : String.fromCharCode(a & 0xffff, a >>> 16);
}
