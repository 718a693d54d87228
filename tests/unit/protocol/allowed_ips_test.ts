import { deepEqual, equal, notEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import { formatPrefix, makePrefix, parsePrefix, type Prefix } from "../../../core/config/prefix.ts";
import { AllowedIps } from "../../../core/protocol/allowed_ips.ts";

const [A, B, C, D, E, F, G, H] = [1, 2, 3, 4, 5, 6, 7, 8] as const;

function four(a: number, b: number, c: number, d: number, length = 32): Prefix {
  return makePrefix(Uint8Array.of(a, b, c, d), length);
}

function six(a: number, b: number, c: number, d: number, length = 128): Prefix {
  const address = new Uint8Array(16);
  const view = new DataView(address.buffer);
  [a, b, c, d].forEach((word, i) => view.setUint32(4 * i, word));
  return makePrefix(address, length);
}

function lookup(table: AllowedIps, { family, address }: Prefix): number {
  return family === 4 ? table.lookup4(address, 0) : table.lookup6(address, 0);
}

/** The prefixes of the kernel's selftest/allowedips.c. */
function kernelTable(): AllowedIps {
  const table = new AllowedIps();
  const entries: [Prefix, number][] = [
    [four(192, 168, 4, 0, 24), A],
    [four(192, 168, 4, 4, 32), B],
    [four(192, 168, 0, 0, 16), C],
    [four(192, 95, 5, 64, 27), D],
    [four(192, 95, 5, 65, 27), C],
    [six(0x26075300, 0x60006b00, 0, 0xc05f0543, 128), D],
    [six(0x26075300, 0x60006b00, 0, 0, 64), C],
    [four(0, 0, 0, 0, 0), E],
    [six(0, 0, 0, 0, 0), E],
    [six(0, 0, 0, 0, 0), F],
    [six(0x24046800, 0, 0, 0, 32), G],
    [six(0x24046800, 0x40040800, 0xdeadbeef, 0xdeadbeef, 64), H],
    [six(0x24046800, 0x40040800, 0xdeadbeef, 0xdeadbeef, 128), A],
    [six(0x24446800, 0x40e40800, 0xdeaebeef, 0xdefbeef, 128), C],
    [six(0x24446800, 0xf0e40800, 0xeeaebeef, 0, 98), B],
    [four(64, 15, 112, 0, 20), G],
    [four(64, 15, 123, 211, 25), H],
    [four(10, 0, 0, 0, 25), A],
    [four(10, 0, 0, 128, 25), B],
    [four(10, 1, 0, 0, 30), A],
    [four(10, 1, 0, 4, 30), B],
    [four(10, 1, 0, 8, 29), C],
    [four(10, 1, 0, 16, 29), D],
  ];
  for (const [prefix, value] of entries) table.insert(prefix, value);
  return table;
}

const KERNEL_LOOKUPS: [Prefix, number][] = [
  [four(192, 168, 4, 20), A],
  [four(192, 168, 4, 0), A],
  [four(192, 168, 4, 4), B],
  [four(192, 168, 200, 182), C],
  [four(192, 95, 5, 68), C],
  [four(192, 95, 5, 96), E],
  [six(0x26075300, 0x60006b00, 0, 0xc05f0543), D],
  [six(0x26075300, 0x60006b00, 0, 0xc02e01ee), C],
  [six(0x26075300, 0x60006b01, 0, 0), F],
  [six(0x24046800, 0x40040806, 0, 0x1006), G],
  [six(0x24046800, 0x40040806, 0x1234, 0x5678), G],
  [six(0x240467ff, 0x40040806, 0x1234, 0x5678), F],
  [six(0x24046801, 0x40040806, 0x1234, 0x5678), F],
  [six(0x24046800, 0x40040800, 0x1234, 0x5678), H],
  [six(0x24046800, 0x40040800, 0, 0), H],
  [six(0x24046800, 0x40040800, 0x10101010, 0x10101010), H],
  [six(0x24046800, 0x40040800, 0xdeadbeef, 0xdeadbeef), A],
  [four(64, 15, 116, 26), G],
  [four(64, 15, 127, 3), G],
  [four(64, 15, 123, 1), G],
  [four(64, 15, 123, 128), H],
  [four(64, 15, 123, 129), H],
  [four(10, 0, 0, 52), A],
  [four(10, 0, 0, 220), B],
  [four(10, 1, 0, 2), A],
  [four(10, 1, 0, 6), B],
  [four(10, 1, 0, 10), C],
  [four(10, 1, 0, 20), D],
];

Deno.test("AllowedIps: the kernel's 28 lookups (selftest/allowedips.c)", () => {
  const table = kernelTable();
  for (const [address, value] of KERNEL_LOOKUPS) equal(lookup(table, address), value, formatPrefix(address));
});

Deno.test("AllowedIps.removeAll() takes a value out everywhere (selftest/allowedips.c)", () => {
  const table = kernelTable();
  const singles = [1, 64, 128, 192, 255].map((first) => four(first, 0, 0, 0));
  for (const prefix of singles) table.insert(prefix, A);
  table.removeAll(A);
  for (const prefix of singles) notEqual(lookup(table, prefix), A);

  const nested = new AllowedIps();
  nested.insert(four(192, 168, 0, 0, 16), A);
  nested.insert(four(192, 168, 0, 0, 24), A);
  nested.removeAll(A);
  equal(lookup(nested, four(192, 168, 0, 1)), 0);
  equal(nested.nodeCount, 0);
});

Deno.test("AllowedIps: 128 addresses that differ in one bit each, the deepest trie there is", () => {
  const table = new AllowedIps();
  const addresses = Array.from({ length: 128 }, (_, i) => {
    const address = new Uint8Array(16).fill(0xff);
    address[i >> 3]! ^= 0x80 >> (i & 7);
    return makePrefix(address, 128);
  });
  addresses.forEach((prefix, i) => table.insert(prefix, i + 1));
  addresses.forEach((prefix, i) => equal(lookup(table, prefix), i + 1));
  equal(table.nodeCount, 2 * 128 - 1);
  addresses.forEach((_, i) => table.removeAll(i + 1));
  equal(table.nodeCount, 0);
});

Deno.test("AllowedIps.list() gives prefixes with host bits cleared, in the order of insertion (selftest/allowedips.c)", () => {
  const table = new AllowedIps();
  table.insert(four(192, 95, 5, 93, 27), A);
  table.insert(six(0x26075300, 0x60006b00, 0, 0xc05f0543, 128), A);
  table.insert(four(10, 1, 0, 20, 29), A);
  table.insert(six(0x26075300, 0x6d8a6bf8, 0xdab1f1df, 0xc05f1523, 83), A);
  table.insert(six(0x26075300, 0x6d8a6bf8, 0xdab1f1df, 0xc05f1523, 21), A);
  deepEqual([...table.list(A)].map(formatPrefix), [
    "192.95.5.64/27",
    "2607:5300:6000:6b00::c05f:543/128",
    "10.1.0.16/29",
    "2607:5300:6d8a:6bf8:dab1:e000::/83",
    "2607:5000::/21",
  ]);
  deepEqual([...table.list(B)], []);
});

Deno.test("AllowedIps.insert() moves a prefix from one value to another, and to the end of the list", () => {
  const table = new AllowedIps();
  const [first, second] = [four(10, 0, 0, 1), four(10, 0, 0, 2)];
  table.insert(first, A);
  table.insert(second, A);
  table.insert(first, A);
  deepEqual([...table.list(A)].map(formatPrefix), ["10.0.0.2/32", "10.0.0.1/32"]);
  table.insert(second, B);
  deepEqual([...table.list(A)].map(formatPrefix), ["10.0.0.1/32"]);
  deepEqual([...table.list(B)].map(formatPrefix), ["10.0.0.2/32"]);
  equal(lookup(table, second), B);
});

Deno.test("AllowedIps.remove() takes exactly this prefix from exactly this value, or nothing", () => {
  const table = new AllowedIps();
  table.insert(four(10, 0, 0, 0, 8), A);
  table.insert(four(10, 1, 0, 0, 16), B);
  for (
    const [prefix, value] of [
      [four(10, 0, 0, 0, 9), A],
      [four(10, 0, 0, 0, 7), A],
      [four(10, 0, 0, 0, 8), B],
      [four(10, 1, 0, 0, 16), A],
      [four(11, 0, 0, 0, 8), A],
      [six(0, 0, 0, 0, 0), A],
    ] as const
  ) table.remove(prefix, value);
  equal(lookup(table, four(10, 0, 0, 1)), A);
  equal(lookup(table, four(10, 1, 0, 1)), B);
  table.remove(four(10, 1, 0, 0, 16), B);
  equal(lookup(table, four(10, 1, 0, 1)), A, "the shorter prefix matches again");
  table.remove(four(10, 0, 0, 0, 8), A);
  equal(table.nodeCount, 0);
});

Deno.test("AllowedIps: a fork without a value is never in a list and cannot be removed", () => {
  const table = new AllowedIps();
  table.insert(four(10, 0, 0, 0, 32), A);
  table.insert(four(10, 0, 0, 1, 32), B);
  equal(table.nodeCount, 3);
  table.remove(four(10, 0, 0, 0, 31), 0);
  equal(lookup(table, four(10, 0, 0, 0)), A);
  equal(lookup(table, four(10, 0, 0, 2)), 0);
  table.insert(four(10, 0, 0, 0, 31), C);
  equal(table.nodeCount, 3);
  table.removeAll(A);
  equal(lookup(table, four(10, 0, 0, 0)), C);
});

/** The same as a list that is searched from end to end. */
class NaiveAllowedIps {
  entries: { prefix: Prefix; value: number }[] = [];

  insert(prefix: Prefix, value: number) {
    this.entries = this.entries.filter((entry) => !samePrefix(entry.prefix, prefix));
    this.entries.push({ prefix, value });
  }

  remove(prefix: Prefix, value: number) {
    this.entries = this.entries.filter((entry) =>
      !(samePrefix(entry.prefix, prefix) && entry.value === value)
    );
  }

  removeAll(value: number) {
    this.entries = this.entries.filter((entry) => entry.value !== value);
  }

  lookup(address: Uint8Array): number {
    let best: { prefix: Prefix; value: number } | undefined;
    for (const entry of this.entries) {
      if (!holds(entry.prefix, address)) continue;
      if (best === undefined || entry.prefix.length > best.prefix.length) best = entry;
    }
    return best?.value ?? 0;
  }
}

function samePrefix(a: Prefix, b: Prefix): boolean {
  return a.length === b.length && a.family === b.family &&
    a.address.every((byte, i) => byte === b.address[i]);
}

function holds(prefix: Prefix, address: Uint8Array): boolean {
  if (address.length !== prefix.address.length) return false;
  for (let bit = 0; bit < prefix.length; bit++) {
    if ((address[bit >> 3]! ^ prefix.address[bit >> 3]!) & 0x80 >> (bit & 7)) return false;
  }
  return true;
}

/** Addresses that share long prefixes now and then: few bytes to choose from. */
const addresses = fc.oneof(
  fc.array(fc.constantFrom(0, 1, 2, 128, 255), { minLength: 4, maxLength: 4 }),
  fc.array(fc.constantFrom(0, 1, 255), { minLength: 16, maxLength: 16 }),
  fc.array(fc.nat(255), { minLength: 4, maxLength: 4 }),
).map((bytes) => Uint8Array.from(bytes));
const prefixes = fc.tuple(addresses, fc.nat(128)).map(([address, length]) =>
  makePrefix(address.slice(), length % (address.length * 8 + 1))
);
const values = fc.integer({ min: 1, max: 8 });
const steps = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("insert" as const), prefix: prefixes, value: values }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("remove" as const), prefix: prefixes, value: values }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("removeAll" as const), prefix: prefixes, value: values }),
  },
);

Deno.test("AllowedIps agrees with a naive list", () => {
  const numRuns = Deno.env.get("WGD_TEST_FULL") ? 20_000 : 400;
  fc.assert(
    fc.property(
      fc.array(steps, { maxLength: 120 }),
      fc.array(addresses, { minLength: 20, maxLength: 40 }),
      (changes, queries) => {
        const trie = new AllowedIps(), naive = new NaiveAllowedIps();
        for (const { do: what, prefix, value } of changes) {
          if (what === "insert") {
            trie.insert(prefix, value);
            naive.insert(prefix, value);
          } else if (what === "remove") {
            // A prefix that is there, half of the time.
            const target = naive.entries[prefix.length]?.prefix ?? prefix;
            trie.remove(target, value);
            naive.remove(target, value);
          } else {
            trie.removeAll(value);
            naive.removeAll(value);
          }
        }
        for (const { prefix: { address } } of naive.entries) queries.push(address.slice());
        for (const address of queries) {
          const found = address.length === 4 ? trie.lookup4(address, 0) : trie.lookup6(address, 0);
          equal(found, naive.lookup(address));
        }
        for (let value = 1; value <= 8; value++) {
          const expected = naive.entries.filter((entry) => entry.value === value).map(({ prefix }) => prefix);
          deepEqual([...trie.list(value)], expected);
        }
        ok(trie.nodeCount <= 2 * naive.entries.length);
        for (let value = 1; value <= 8; value++) trie.removeAll(value);
        equal(trie.nodeCount, 0);
      },
    ),
    { numRuns },
  );
});

Deno.test("AllowedIps.lookup4() and lookup6() read from the middle of memory", () => {
  const table = new AllowedIps();
  table.insert(parsePrefix("10.2.3.0/24")!, A);
  table.insert(parsePrefix("fd00::/8")!, B);
  const memory = new Uint8Array(100).fill(0xff);
  memory.set([10, 2, 3, 4], 37);
  memory.set([0xfd], 51);
  deepEqual([table.lookup4(memory, 37), table.lookup4(memory, 38), table.lookup6(memory, 51)], [A, 0, B]);
});

Deno.test("AllowedIps works in an array that others replace as it grows", () => {
  let array = new Uint32Array(1);
  const table = new AllowedIps({
    get array() {
      return array;
    },
    grow(length) {
      if (length <= array.length) return;
      const larger = new Uint32Array(length).fill(0xdeadbeef);
      larger.set(array);
      array = larger;
    },
  });
  for (let i = 0; i < 256; i++) table.insert(four(10, 0, i, 0, 24), i + 1);
  for (let i = 0; i < 256; i++) equal(lookup(table, four(10, 0, i, 9)), i + 1);
});
