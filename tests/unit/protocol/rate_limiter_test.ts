import { equal } from "node:assert/strict";
import type { Milliseconds } from "../../../core/protocol/clock.ts";
import { RateLimiter } from "../../../core/protocol/rate_limiter.ts";
import { address4, address6 } from "../../lab.ts";

const at = (milliseconds: number) => milliseconds as Milliseconds;
const four = (n: number) => address4([n >>> 24, n >>> 16, n >>> 8, n], 1_000 + n % 60_000);
const six = (network: number, host: number) => {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x20010db8);
  view.setUint32(4, network);
  view.setUint32(12, host);
  return address6(bytes, host % 60_000);
};

/** The kernel's selftest/ratelimiter.c: milliseconds to wait before, and whether the message may pass. */
const KERNEL_CASES = [
  [0, true],
  [0, true],
  [0, true],
  [0, true],
  [0, true],
  [0, false],
  [50, true],
  [0, false],
  [100, true],
  [0, true],
  [0, false],
] as const;

Deno.test("RateLimiter.allow(): the kernel's 11 cases, beside other sources that are always let through", () => {
  const limiter = new RateLimiter();
  let now = 1_000;
  KERNEL_CASES.forEach(([wait, allowed], i) => {
    now += wait;
    equal(limiter.allow(four(8_182), at(now)), allowed, `IPv4, case ${i}`);
    equal(limiter.allow(four(8_182 + i + 1), at(now)), true, `another IPv4 source, case ${i}`);
    equal(limiter.allow(six(1_212, i), at(now)), allowed, `one host after the other of a /64, case ${i}`);
    equal(limiter.allow(six(1_212 + i + 1, i), at(now)), true, `another /64, case ${i}`);
  });
});

Deno.test("RateLimiter.allow(): a message costs exactly 50 ms", () => {
  const limiter = new RateLimiter();
  for (let i = 0; i < 5; i++) limiter.allow(four(1), at(0));
  equal(limiter.allow(four(1), at(49)), false);
  equal(limiter.allow(four(1), at(50)), true);
  equal(limiter.allow(four(1), at(99)), false);
  equal(limiter.allow(four(1), at(100)), true);
});

Deno.test("RateLimiter.allow(): a source can save at most 250 ms", () => {
  const limiter = new RateLimiter();
  for (let i = 0; i < 5; i++) limiter.allow(four(1), at(0));
  for (let i = 0; i < 5; i++) equal(limiter.allow(four(1), at(900)), true);
  equal(limiter.allow(four(1), at(900)), false);
});

Deno.test("RateLimiter.allow(): another port is the same source", () => {
  const limiter = new RateLimiter();
  const allowed = Array.from({ length: 6 }, (_, i) => limiter.allow(address4([10, 0, 0, 1], i), at(0)));
  equal(allowed.filter(Boolean).length, 5);
});

Deno.test("RateLimiter.allow(): refuses new sources beyond 65,536, serves known ones", () => {
  const limiter = new RateLimiter();
  for (let n = 0; n < 65_536; n++) equal(limiter.allow(four(n), at(0)), true);
  equal(limiter.allow(four(65_536), at(0)), false);
  equal(limiter.allow(four(7), at(0)), true);
  equal(limiter.size, 65_536);
});

Deno.test("RateLimiter.sweep(): forgets a source after more than a second of silence, the longest silent first", () => {
  const limiter = new RateLimiter();
  equal(limiter.nextDeadline, Infinity);
  limiter.allow(four(1), at(0));
  limiter.allow(four(2), at(500));
  limiter.allow(four(1), at(600));
  equal(limiter.nextDeadline, 1_501);
  limiter.sweep(at(1_500));
  equal(limiter.size, 2);
  limiter.sweep(at(1_501));
  equal(limiter.size, 1);
  limiter.sweep(at(1_601));
  equal(limiter.size, 0);
  equal(limiter.nextDeadline, Infinity);
});
