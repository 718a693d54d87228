import { equal } from "node:assert/strict";
import { COLORED, PLAIN } from "../../../cli/render/colors.ts";
import { ago, bytes, duration } from "../../../cli/render/pretty.ts";

Deno.test("duration() names every unit that is not zero", () => {
  const cases: [number, string][] = [
    [1, "1 second"],
    [59, "59 seconds"],
    [60, "1 minute"],
    [63, "1 minute, 3 seconds"],
    [3600, "1 hour"],
    [86400 + 1, "1 day, 1 second"],
    [365 * 86400 + 2 * 86400, "1 year, 2 days"],
    [2 * 365 * 86400 - 1, "1 year, 364 days, 23 hours, 59 minutes, 59 seconds"],
  ];
  for (const [seconds, text] of cases) equal(duration(seconds, PLAIN), text);
  equal(duration(61, COLORED), "1 \x1b[36mminute\x1b[0m, 1 \x1b[36msecond\x1b[0m");
});

Deno.test("ago() handles now and a clock that was set back", () => {
  equal(ago(100, 100, PLAIN), "Now");
  equal(ago(99, 100, PLAIN), "1 second ago");
  equal(ago(101, 100, PLAIN), "(System clock wound backward; connection problems may ensue.)");
});

Deno.test("bytes() rounds as printf does: halves to even", () => {
  const cases: [number, string][] = [
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.00 KiB"],
    [1152, "1.12 KiB"],
    [1408, "1.38 KiB"],
    [2 ** 20 - 1, "1024.00 KiB"],
    [2 ** 20, "1.00 MiB"],
    [1372 * 1000, "1.31 MiB"],
    [2 ** 30 * 1.125, "1.12 GiB"],
    [2 ** 40, "1.00 TiB"],
    [2 ** 53 - 1, "8192.00 TiB"],
  ];
  for (const [count, text] of cases) equal(bytes(count, PLAIN), text);
});
