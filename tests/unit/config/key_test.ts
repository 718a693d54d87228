import { deepEqual, equal } from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import {
  clampKey,
  equalBytes,
  formatHexKey,
  formatKey,
  isZeroKey,
  parseHexKey,
  parseKey,
} from "../../../core/config/key.ts";

const key = fc.uint8Array({ minLength: 32, maxLength: 32 });

/** An independent reading: what base64 decodes to 32 bytes and encodes to the same text again. */
function naiveParse(text: string): Uint8Array | null {
  const bytes = Buffer.from(text, "base64");
  return bytes.length === 32 && bytes.toString("base64") === text ? new Uint8Array(bytes) : null;
}

Deno.test("formatKey() and formatHexKey() agree with node:buffer", () => {
  fc.assert(fc.property(key, (bytes) => {
    equal(formatKey(bytes), Buffer.from(bytes).toString("base64"));
    equal(formatHexKey(bytes), Buffer.from(bytes).toString("hex"));
  }));
});

Deno.test("parseKey() and parseHexKey() read back what was written", () => {
  fc.assert(fc.property(key, (bytes) => {
    deepEqual(parseKey(formatKey(bytes)), bytes);
    deepEqual(parseHexKey(formatHexKey(bytes)), bytes);
    deepEqual(parseHexKey(formatHexKey(bytes).toUpperCase()), bytes);
  }));
});

Deno.test("parseKey() agrees with node:buffer on every character in every place", () => {
  const good = formatKey(new Uint8Array(32).fill(0xa5));
  for (let place = 0; place < 44; place++) {
    for (let code = 0; code < 384; code++) {
      const text = good.slice(0, place) + String.fromCharCode(code) + good.slice(place + 1);
      // The URL alphabet is base64 to node but not to wg.
      const expected = code === 0x2d || code === 0x5f ? null : naiveParse(text);
      deepEqual(parseKey(text), expected, `character ${code} at ${place}`);
    }
  }
});

Deno.test("parseKey() refuses any other length", () => {
  const good = formatKey(new Uint8Array(32));
  for (const text of ["", "=", good.slice(1), `${good}=`, `${good}\n`, ` ${good}`, good.repeat(2)]) {
    equal(parseKey(text), null, JSON.stringify(text));
  }
});

Deno.test("parseHexKey() refuses what is not 64 hexadecimal digits", () => {
  const good = "0123456789abcdef".repeat(4);
  for (let code = 0; code < 384; code++) {
    const digit = String.fromCharCode(code);
    equal(
      parseHexKey(good.slice(0, 31) + digit + good.slice(32)) !== null,
      /[0-9a-fA-F]/.test(digit),
      `code ${code}`,
    );
  }
  for (const text of ["", good.slice(1), `${good}0`, `0x${good.slice(2)}`]) equal(parseHexKey(text), null);
});

Deno.test("isZeroKey() and equalBytes() look at every byte", () => {
  const zero = new Uint8Array(32);
  equal(isZeroKey(zero), true);
  for (let i = 0; i < 32; i++) {
    const other = new Uint8Array(32);
    other[i] = 1;
    equal(isZeroKey(other), false);
    equal(equalBytes(zero, other), false);
    equal(equalBytes(other, other.slice()), true);
  }
});

Deno.test("clampKey() clears and sets the bits of RFC 7748 section 5", () => {
  fc.assert(fc.property(key, (bytes) => {
    const clamped = bytes.slice();
    clampKey(clamped);
    equal(clamped[0]! & 7, 0);
    equal(clamped[31]! & 0xc0, 0x40);
    deepEqual(clamped.slice(1, 31), bytes.slice(1, 31));
    equal(clamped[0]! >> 3, bytes[0]! >> 3);
    equal(clamped[31]! & 63, bytes[31]! & 63);
  }));
});
