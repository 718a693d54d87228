/**
 * Names of entries in a directory.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { equal, notEqual } from "node:assert/strict";
import fc from "fast-check";
import { isGroup } from "../../../core/web/sign_in/ldap_groups.ts";
import { normalizeDn } from "../../../core/web/sign_in/ldap_entry.ts";

Deno.test("normalizeDn(): each way to write a DN gives the same text", () => {
  for (
    const [one, other] of [
      ["CN=Staff, OU=Groups , DC=Example", "cn=staff,ou=groups,dc=example"],
      ["cn=a\\, b,dc=x", "cn=a\\2C b,dc=x"],
      ["cn=a\\, b,dc=x", "CN=a\\2c b, dc=x"],
      ['cn=\\"a\\",dc=x', "cn=\\22a\\22,dc=x"],
      ["cn=a\\\\,dc=x", "cn=a\\5C,dc=x"],
      ["cn=caf\\C3\\A9,dc=x", "cn=café,dc=x"],
      ["cn=a\\+b+uid=c,dc=x", "cn=a\\2bb + uid=c,dc=x"],
      ["cn=a b,dc=x", "cn=a\\20b,dc=x"],
      ["cn=a\\ ,dc=x", "cn=a\\20,dc=x"],
      ["cn=a\\ ", "cn=a\\20"],
      ["cn=a\\  , dc=x", "cn=a\\20,dc=x"],
      ["cn=a\u2028b,dc=x", "cn=a\\E2\\80\\A8b,dc=x"],
      ["cn=É\\FF,dc=x", "cn=\\c3\\a9\\ff,dc=x"],
    ] as const
  ) equal(normalizeDn(one), normalizeDn(other), `${one} and ${other}`);
});

Deno.test("normalizeDn(): other entries have other names", () => {
  for (
    const [one, other] of [
      // A separator that is escaped is a part of the name, and so are spaces beside it.
      ["cn=a\\, b,dc=x", "cn=a\\,b,dc=x"],
      ["cn=a\\=b,dc=x", "cn=a\\= b,dc=x"],
      ["cn=a\\,dc=x", "cn=a,dc=x"],
      ["cn=a\\\\,dc=x", "cn=a\\,dc=x"],
      ["cn=a\\20,dc=x", "cn=a,dc=x"],
      ["cn=a\\, dc=x", "cn=a,dc=x"],
      ["cn=a\\ ", "cn=a"],
      ["cn=a\\ ", "cn=a\\"],
      ["cn=a\\ ", "cn=a\\\\"],
      // Bytes that are not UTF-8.
      ["cn=\\ff,dc=x", "cn=\\fe,dc=x"],
      ["cn=\\ff,dc=x", "cn=\uFFFD,dc=x"],
      ["cn=\\c3,dc=x", "cn=\\c3\\a9,dc=x"],
      ["cn=\\c3\\ff\\a9,dc=x", "cn=\\c3\\fe\\a9,dc=x"],
      // A surrogate in UTF-8, and a character in more bytes than it needs.
      ["cn=\\ed\\a0\\80,dc=x", "cn=\\ed\\a0\\81,dc=x"],
      ["cn=\\c0\\ac,dc=x", "cn=\\,,dc=x"],
      // Other characters that are white, beside or in place of a space.
      ["cn=a\\\u2028,dc=x", "cn=a\\2028,dc=x"],
      ["cn=a\u2028,dc=x", "cn=a,dc=x"],
      ["cn=a\u00a0b,dc=x", "cn=a b,dc=x"],
    ] as const
  ) notEqual(normalizeDn(one), normalizeDn(other), `${one} and ${other}`);
});

Deno.test("normalizeDn(): two names are equal only if their bytes are, whatever is escaped", () => {
  const piece = fc.constantFrom("a", "B", " ", ",", "\\", "=", "é", "\u2028", "\uFFFD", "#", "+", "2", "8");
  const bytes = fc.constantFrom("ff", "fe", "c3", "a9", "e2", "80", "a8", "20", "2c", "61", "efbfbd");
  /** A value with each byte as hex. */
  const hex = (value: Uint8Array) =>
    [...value].map((byte) => `\\${byte.toString(16).padStart(2, "0")}`).join("");
  const values = fc.array(bytes, { minLength: 1, maxLength: 3 }).map((all) =>
    Buffer.from(all.join(""), "hex")
  );
  fc.assert(
    fc.property(values, values, (one, other) => {
      const isEqual = normalizeDn(`cn=${hex(one)},dc=x`) === normalizeDn(`cn=${hex(other)},dc=x`);
      equal(isEqual, one.equals(other), `${one.toString("hex")} and ${other.toString("hex")}`);
    }),
    { numRuns: 5_000 },
  );
  fc.assert(fc.property(fc.array(piece, { minLength: 1 }), (pieces) => {
    const value = pieces.join("");
    const escaped = value.replace(/[ ,=+"\\<>;#\u2028]/g, "\\$&");
    // A backslash and two digits would be the hex of a byte.
    if (/\\[0-9a-f]{2}/.test(escaped)) return;
    equal(normalizeDn(`CN=${escaped} , dc=x`), normalizeDn(`cn=${hex(Buffer.from(value))},dc=x`), value);
  }));
});

Deno.test("isGroup(): a group is no other one whose name begins alike", () => {
  equal(isGroup("cn=admins,dc=x", "admins"), true);
  equal(isGroup("cn=admins\\, old,dc=x", "admins"), false);
  equal(isGroup("cn=admins\\2C old,dc=x", "admins"), false);
  equal(isGroup("cn=admins\\2C old,dc=x", "cn=admins\\, old,dc=x"), true);
  equal(isGroup("cn=Old Admins,dc=x", "old admins"), true);
  equal(isGroup("cn=old\\20admins,dc=x", "old admins"), true);
  equal(isGroup("cn=admins\\ ,dc=x", "admins"), false);
  // The groups of a directory whose groups list their members are found by the configured name.
  equal(isGroup("Admins, old", "Admins, old"), true);
});
