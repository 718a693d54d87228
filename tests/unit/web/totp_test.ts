/**
 * One-time passwords.
 *
 * @module
 */

import { equal, match } from "node:assert/strict";
import fc from "fast-check";
import { base32, checkTotp, newTotpSecret, totpCode, totpUri } from "../../../core/web/sign_in/totp.ts";

const SECRET = new TextEncoder().encode("12345678901234567890");

Deno.test("totpCode(): the test vectors of RFC 6238, appendix B", () => {
  for (
    const [seconds, code] of [
      [59, "94287082"],
      [1_111_111_109, "07081804"],
      [1_111_111_111, "14050471"],
      [1_234_567_890, "89005924"],
      [2_000_000_000, "69279037"],
      [20_000_000_000, "65353130"],
    ] as const
  ) equal(totpCode(SECRET, Math.floor(seconds / 30), 8), code);
});

Deno.test("totpCode(): the test vectors of RFC 4226, appendix D", () => {
  const codes = "755224 287082 359152 969429 338314 254676 287922 162583 399871 520489".split(" ");
  for (const [counter, code] of codes.entries()) equal(totpCode(SECRET, counter), code);
});

Deno.test("checkTotp(): a code is valid one step before and after its time, once", () => {
  const [step, now] = [100, 100 * 30_000 + 5_000];
  const code = totpCode(SECRET, step);
  equal(checkTotp(SECRET, code, now, null), step);
  equal(checkTotp(SECRET, ` ${code.slice(0, 3)} ${code.slice(3)}`, now, null), step);
  equal(checkTotp(SECRET, code, now + 30_000, null), step);
  equal(checkTotp(SECRET, code, now - 30_000, null), step);
  equal(checkTotp(SECRET, code, now + 60_000, null), undefined);
  equal(checkTotp(SECRET, code, now - 60_000, null), undefined);
  equal(checkTotp(SECRET, code, now, step), undefined, "a used code is refused");
  equal(checkTotp(SECRET, code, now, step + 1), undefined, "a code is refused after a later one was used");
  equal(checkTotp(SECRET, code, now, step - 1), step);
});

Deno.test("checkTotp(): only a code is accepted", () => {
  const code = totpCode(SECRET, 7);
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^\d{6}$/)), (text) => {
      const near = [6, 7, 8].some((step) => totpCode(SECRET, step) === text.replaceAll(/\s/g, ""));
      equal(checkTotp(SECRET, text, 7 * 30_000, null) !== undefined, near);
    }),
  );
  equal(checkTotp(SECRET, `${code}0`, 7 * 30_000, null), undefined);
});

Deno.test("base32(): the test vectors of RFC 4648, section 10", () => {
  for (
    const [text, encoded] of [
      ["", ""],
      ["f", "MY"],
      ["fo", "MZXQ"],
      ["foo", "MZXW6"],
      ["foob", "MZXW6YQ"],
      ["fooba", "MZXW6YTB"],
      ["foobar", "MZXW6YTBOI"],
    ] as const
  ) equal(base32(new TextEncoder().encode(text)), encoded);
  match(base32(newTotpSecret()), /^[A-Z2-7]{32}$/);
});

Deno.test("totpUri() escapes names", () => {
  equal(
    totpUri(SECRET, "anna@b?&", "a b"),
    "otpauth://totp/a%20b:anna%40b%3F%26?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=a%20b",
  );
});
