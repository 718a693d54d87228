import { deepEqual, equal } from "node:assert/strict";
import { mostLanes, parseLanes } from "../../../core/config/lanes.ts";

Deno.test("a number of lanes is from 0 to 7, or auto with or without a maximum", () => {
  const texts = [
    "0",
    "7",
    "auto",
    "AUTO",
    "auto:0",
    "Auto:3",
    "",
    "8",
    "-1",
    "auto:",
    "auto:8",
    "3:auto",
    " 1",
  ];
  deepEqual(texts.map(parseLanes), [0, 7, "auto", "auto", "auto:0", "auto:3", ...Array(7).fill(undefined)]);
});

Deno.test("auto leaves one processor for the first thread, and is at most 3", () => {
  deepEqual([1, 2, 3, 4, 16].map((processors) => mostLanes("auto", processors)), [0, 1, 2, 3, 3]);
  equal(mostLanes("auto:7", 2), 7);
  equal(mostLanes(5, 1), 5);
});
