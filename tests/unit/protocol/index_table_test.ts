import { equal, ok } from "node:assert/strict";
import { IndexTable } from "../../../core/protocol/index_table.ts";
import { seededRandom } from "../../lab.ts";

Deno.test("IndexTable.add() gives random indices, spread over all of 32 bits and in no sequence", () => {
  const table = new IndexTable<number>(seededRandom(1));
  const indices = Array.from({ length: 4_096 }, (_, i) => table.add(i));
  equal(new Set(indices).size, 4_096);
  for (let bit = 0; bit < 32; bit++) {
    const ones = indices.filter((index) => index >>> bit & 1).length;
    ok(Math.abs(ones - 2_048) < 200, `bit ${bit} is set in ${ones}`);
  }
  const ascending = indices.filter((index, i) => i > 0 && index > indices[i - 1]!).length;
  ok(Math.abs(ascending - 2_048) < 200);
});

Deno.test("IndexTable.add() draws again when an index is taken", () => {
  const draws = [7, 7, 7, 8];
  const table = new IndexTable<string>((out) => new DataView(out.buffer).setUint32(0, draws.shift()!, true));
  equal(table.add("a"), 7);
  equal(table.add("b"), 8);
});

Deno.test("IndexTable.remove() keeps an index that was given to another session", () => {
  const table = new IndexTable<string>(seededRandom(1));
  const index = table.add("handshake");
  table.replace(index, "keypair");
  table.remove(index, "handshake");
  equal(table.get(index), "keypair");
  table.remove(index, "keypair");
  equal(table.get(index), undefined);
  equal(table.size, 0);
});
