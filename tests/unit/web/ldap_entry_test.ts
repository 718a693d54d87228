/**
 * Names of entries in a directory.
 *
 * @module
 */

import { equal, notEqual } from "node:assert/strict";
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
    ] as const
  ) notEqual(normalizeDn(one), normalizeDn(other), `${one} and ${other}`);
});

Deno.test("isGroup(): a group is no other one whose name begins alike", () => {
  equal(isGroup("cn=admins,dc=x", "admins"), true);
  equal(isGroup("cn=admins\\, old,dc=x", "admins"), false);
  equal(isGroup("cn=admins\\2C old,dc=x", "admins"), false);
  equal(isGroup("cn=admins\\2C old,dc=x", "cn=admins\\, old,dc=x"), true);
});
