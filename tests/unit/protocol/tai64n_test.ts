import { deepEqual, equal } from "node:assert/strict";
import fc from "fast-check";
import { isLater, TIMESTAMP_GRAIN, writeTimestamp } from "../../../core/protocol/tai64n.ts";

function timestamp(wall: bigint): Uint8Array {
  const out = new Uint8Array(12);
  writeTimestamp(out, wall);
  return out;
}

Deno.test("writeTimestamp(): TAI64N of 1970 and of a known day", () => {
  deepEqual(timestamp(0n), Uint8Array.of(0x40, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0));
  // 1 January 2000 is 946,684,800 s after 1970, to which 10 s are added.
  deepEqual(
    timestamp(946_684_800_999_999_999n),
    Uint8Array.of(0x40, 0, 0, 0, 0x38, 0x6d, 0x43, 0x8a, 0x3b, 0, 0, 0),
  );
});

Deno.test("writeTimestamp() rounds to 16.8 ms (wireguard-go's cases)", () => {
  const start = 123_456_789n;
  const cases = [[10n, false], [10_000n, false], [1_000_000n, false], [10_000_000n, false], [
    20_000_000n,
    true,
  ]];
  for (const [later, after] of cases as [bigint, boolean][]) {
    equal(isLater(timestamp(start + later), timestamp(start)), after, `${later} ns later`);
  }
});

Deno.test("isLater() orders timestamps as the times they stand for, a grain apart or more", () => {
  const wall = fc.bigInt(0n, 1n << 62n);
  fc.assert(fc.property(wall, wall, (a, b) => {
    if (a >= b + TIMESTAMP_GRAIN) equal(isLater(timestamp(a), timestamp(b)), true);
    if (a <= b) equal(isLater(timestamp(a), timestamp(b)), false);
  }));
  fc.assert(fc.property(wall, (a) => equal(isLater(timestamp(a + TIMESTAMP_GRAIN), timestamp(a)), true)));
});
