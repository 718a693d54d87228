/**
 * Argon2id and what is made of it.
 *
 * @module
 */

import { deepEqual, equal, match, notEqual, ok, rejects, throws } from "node:assert/strict";
import fc from "fast-check";
import { Argon2id } from "../../../wasm/argon2id.ts";
import { argon2id as noble } from "@noble/hashes/argon2.js";
import { flawOf, LONGEST_PASSWORD, Passwords } from "../../../core/web/sign_in/passwords.ts";

Deno.test("Argon2id: the test vector of RFC 9106, section 5.3", () => {
  const tag = new Argon2id().hash(new Uint8Array(32).fill(1), {
    salt: new Uint8Array(16).fill(2),
    secret: new Uint8Array(8).fill(3),
    associatedData: new Uint8Array(12).fill(4),
    memory: 32,
    passes: 3,
    lanes: 4,
    length: 32,
  });
  equal(tag.toHex(), "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659");
});

Deno.test("Argon2id agrees with another implementation", () => {
  const argon2id = new Argon2id();
  const bytes = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength });
  fc.assert(
    fc.property(
      bytes(0, 70),
      bytes(8, 40),
      fc.record({
        memory: fc.integer({ min: 8, max: 64 }),
        passes: fc.integer({ min: 1, max: 3 }),
        length: fc.integer({ min: 4, max: 80 }),
      }),
      (password, salt, { memory, passes, length }) =>
        deepEqual(
          argon2id.hash(password, { salt, memory, passes, lanes: 1, length }),
          noble(password, salt, { m: memory, t: passes, p: 1, dkLen: length }),
        ),
    ),
    { numRuns: 40 },
  );
});

Deno.test("Argon2id refuses what RFC 9106 does not allow, and works afterwards", () => {
  const argon2id = new Argon2id();
  const good = { salt: new Uint8Array(16), memory: 64, passes: 1, lanes: 1, length: 32 };
  const before = argon2id.hash(new Uint8Array(4), good);
  for (
    const bad of [
      { salt: new Uint8Array(7) },
      { memory: 7 },
      { passes: 0 },
      { lanes: 0 },
      { length: 3 },
      { length: 5_000 },
      { salt: new Uint8Array(4_097) },
      { memory: 4_000_000 },
    ]
  ) {
    throws(() => argon2id.hash(new Uint8Array(4), { ...good, ...bad }), RangeError);
  }
  deepEqual(argon2id.hash(new Uint8Array(4), good), before);
});

Deno.test("Passwords: a hash verifies its password and no other", async () => {
  using passwords = new Passwords();
  const [one, two] = await Promise.all([passwords.hash("correct horse"), passwords.hash("correct horse")]);
  match(one, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  notEqual(one, two);
  equal(await passwords.verify("correct horse", one), true);
  equal(await passwords.verify("correct horse ", one), false);
  equal(await passwords.verify("", one), false);
  equal(await passwords.verify("correct horse", undefined), false);
});

Deno.test("Passwords: all Unicode forms of an accented letter are equal", async () => {
  using passwords = new Passwords();
  equal(await passwords.verify("cafe\u0301 au lait", await passwords.hash("caf\u00e9 au lait")), true);
});

Deno.test("Passwords: hashes with other costs, and of the PHC reference, are verified", async () => {
  using passwords = new Passwords();
  // From the reference implementation's test.c: m = 65536, t = 2, "password" with "somesalt".
  const other = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
  equal(await passwords.verify("password", other), true);
  equal(await passwords.verify("Password", other), false);
});

Deno.test("Passwords: an unknown user takes as long as a known one", async () => {
  using passwords = new Passwords();
  const hash = await passwords.hash("correct horse");
  // The shortest of each, by turns: other programs make single ones longer.
  let [known, unknown] = [Infinity, Infinity];
  const time = async (hash: string | undefined) => {
    const started = performance.now();
    await passwords.verify("wrong horse", hash);
    return performance.now() - started;
  };
  for (let i = 0; i < 10; i++) {
    known = Math.min(known, await time(hash));
    unknown = Math.min(unknown, await time(undefined));
  }
  ok(unknown > known / 3 && known > unknown / 3, `known ${known} ms, unknown ${unknown} ms`);
});

Deno.test("Passwords: the queue is bounded, and a long password is refused", async () => {
  using passwords = new Passwords();
  const many = await Promise.allSettled(Array.from({ length: 70 }, async () => await passwords.hash("x")));
  equal(many.filter(({ status }) => status === "rejected").length, 6);
  await rejects(async () => await passwords.hash("é".repeat(LONGEST_PASSWORD / 2 + 1)), RangeError);
  await rejects(async () => await passwords.verify("x", "$argon2id$v=19$nonsense"), SyntaxError);
});

Deno.test("flawOf()", () => {
  for (
    const [password, flawed] of [
      ["short", true],
      ["aaaaaaaaaaaa", true],
      ["Administrator", true],
      ["é".repeat(600) + "abc", true],
      ["correct horse battery", false],
      ["ünïcödé ähhh", false],
    ] as const
  ) equal(flawOf(password, ["administrator"]) !== undefined, flawed, password);
});
