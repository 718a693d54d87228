import { deepEqual, equal } from "node:assert/strict";
import fc from "fast-check";
import { decodeText } from "../../../core/config/text.ts";

Deno.test("decodeText() preserves every byte of any file", () => {
  fc.assert(fc.property(fc.uint8Array(), fc.boolean(), (tail, mark) => {
    const bytes = Uint8Array.from(mark ? [0xef, 0xbb, 0xbf, ...tail] : tail);
    const { text, encode } = decodeText(bytes);
    deepEqual(encode(text), bytes);
    if (mark) equal(text[0], "\ufeff");
  }));
});

Deno.test("decodeText() reads UTF-8 as UTF-8, and anything else as one character per byte", () => {
  equal(decodeText(new TextEncoder().encode("# Zoë")).text, "# Zoë");
  equal(decodeText(Uint8Array.of(0x23, 0xeb)).text, "#\xeb");
});

Deno.test("text added to a file that is not UTF-8 is written as UTF-8", () => {
  const { text, encode } = decodeText(Uint8Array.of(0x23, 0xe9, 0x0a));
  // Cut to one byte, U+010A would be a line feed.
  deepEqual(encode(`${text}\u010a`), Uint8Array.of(0x23, 0xe9, 0x0a, 0xc4, 0x8a));
});
