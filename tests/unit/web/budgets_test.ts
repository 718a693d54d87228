/**
 * Budgets of attempts to sign in.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { Budgets } from "../../../core/web/sign_in/budgets.ts";

function clock() {
  const time = { now: 1_000_000 };
  return { time, budgets: new Budgets(() => time.now) };
}

/** How many of many attempts are let through. */
function through(
  budgets: Budgets,
  count: number,
  account: (i: number) => string | undefined,
  from: (i: number) => string,
) {
  let passed = 0;
  for (let i = 0; i < count; i++) if (!("retryAfter" in budgets.charge(account(i), from(i)))) passed++;
  return passed;
}

Deno.test("Budgets: an account has ten attempts from anywhere, then one a minute", () => {
  const { time, budgets } = clock();
  equal(through(budgets, 50, () => "anna", (i) => `192.0.2.${i}`), 10);
  deepEqual(budgets.charge(" Anna", "192.0.2.99"), { retryAfter: 60 });
  time.now += 59_000;
  deepEqual(budgets.charge("anna", "192.0.2.99"), { retryAfter: 1 });
  time.now += 1_000;
  equal(through(budgets, 5, () => "anna", () => "192.0.2.99"), 1);
  time.now += 86_400_000;
  equal(through(budgets, 50, () => "anna", (i) => `198.51.100.${i}`), 10);
});

Deno.test("Budgets: an address has forty attempts for all accounts", () => {
  const { time, budgets } = clock();
  equal(through(budgets, 100, (i) => `user ${i}`, () => "192.0.2.1"), 40);
  deepEqual(budgets.charge("bert", "192.0.2.1"), { retryAfter: 15 });
  ok(!("retryAfter" in budgets.charge("bert", "192.0.2.2")));
  time.now += 15_000;
  equal(through(budgets, 5, () => undefined, () => "192.0.2.1"), 1);
});

Deno.test("Budgets: a /64 of IPv6 is one address, and a mapped IPv4 address is that address", () => {
  const { budgets } = clock();
  equal(through(budgets, 100, () => undefined, (i) => `2001:db8::${i.toString(16)}:1`), 40);
  equal(through(budgets, 1, () => undefined, () => "2001:db8:0:0:ffff::"), 0);
  equal(through(budgets, 1, () => undefined, () => "2001:db8:0:1::"), 1);
  equal(through(budgets, 60, () => undefined, (i) => i % 2 === 0 ? "::ffff:192.0.2.1" : "192.0.2.1"), 40);
});

Deno.test("Budgets: right passwords cost nothing", () => {
  const { budgets } = clock();
  for (let i = 0; i < 500; i++) {
    const attempt = budgets.charge("anna", "192.0.2.1");
    ok(!("retryAfter" in attempt));
    attempt.succeeded();
  }
});

Deno.test("Budgets: strangers do not lock out an account at its own address", () => {
  const { budgets } = clock();
  const attempt = budgets.charge("anna", "192.0.2.1");
  ok(!("retryAfter" in attempt));
  attempt.succeeded();
  equal(through(budgets, 50, () => "anna", (i) => `198.51.100.${i}`), 10);
  ok(!("retryAfter" in budgets.charge("anna", "192.0.2.1")));
  // Nor is that address a way to guess for ever.
  equal(through(budgets, 50, () => "anna", () => "192.0.2.1"), 9);
});

Deno.test("Budgets: a clock that goes back refunds nothing", () => {
  const { time, budgets } = clock();
  equal(through(budgets, 20, () => "anna", (i) => `192.0.2.${i}`), 10);
  time.now -= 500_000;
  equal(through(budgets, 20, () => "anna", (i) => `192.0.2.${i}`), 0);
});
