import { equal } from "node:assert/strict";
import { parsePrefix } from "../../../core/config/prefix.ts";
import { freeAddress } from "../../../core/peers/free_address.ts";

const CASES: [own: string, taken: string[], free: string | null][] = [
  ["10.0.0.1/24", [], "10.0.0.2"],
  ["10.0.0.7/24", [], "10.0.0.1"],
  ["10.0.0.1/24", ["10.0.0.2/32", "10.0.0.3/32", "10.0.0.5/32"], "10.0.0.4"],
  ["10.0.0.1/24", ["10.0.0.0/26"], "10.0.0.64"],
  ["10.0.0.1/24", ["0.0.0.0/0", "10.9.0.2/32"], "10.0.0.2"],
  ["10.0.0.1/30", ["10.0.0.2/32"], null],
  ["10.0.0.1/32", [], null],
  ["fd00::1/64", ["fd00::2/128", "10.0.0.2/32"], "fd00::3"],
  ["fd00::1/64", ["fd00::/72"], "fd00::100:0:0:0"],
  ["10.0.255.255/8", ["10.0.0.0/16"], "10.1.0.0"],
];

for (const [own, taken, free] of CASES) {
  Deno.test(`freeAddress() in ${own} beside ${taken.join(", ") || "nobody"} is ${free}`, () =>
    equal(freeAddress(own, taken.map((text) => parsePrefix(text)!)), free));
}
