import { equal, ok, throws } from "node:assert/strict";
import { Wasm } from "../../../wasm/mod.ts";

Deno.test("install() works when it makes the memory grow", () => {
  const wasm = new Wasm("plain");
  const key = new Uint8Array(32).fill(7);
  const { buffer } = wasm.memory.bytes;
  let installed = 0;
  while (wasm.memory.bytes.buffer === buffer && installed < 10_000) {
    wasm.install(key, key, 1);
    installed++;
  }
  // Without growth this proves nothing.
  equal(wasm.memory.bytes.buffer === buffer, false);
  const out = new Uint8Array(32);
  wasm.hash(out, key);
  equal(out.some((byte) => byte !== 0), true);
});

/** The anonymous memory of this process that is in physical memory, in kB. */
function resident(): number {
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(Deno.readTextFileSync("/proc/self/status"))![1]);
}

Deno.test("allocatePages() returns zeroed pages that are not in physical memory yet, and allocate() still works", () => {
  const { memory } = new Wasm("plain");
  const length = 2 ** 26;
  const before = resident();
  const pages = memory.allocatePages(length);
  const after = resident();
  ok(after - before < length / 2_048, `${after - before} kB`);
  equal(pages % 65_536, 0);
  ok(pages + length <= memory.bytes.length);
  equal(memory.bytes[pages], 0);
  equal(memory.bytes[pages + length - 1], 0);
  memory.bytes.fill(7, pages, pages + length);
  ok(resident() - before > length / 2_048, "the test sees pages that are written");
  // The module's own allocator gets other memory, now and when it grows.
  for (const size of [16, 2 ** 22]) {
    const at = memory.allocate(size);
    ok(at + size <= pages || at >= pages + length);
    equal(memory.bytes[at], 0);
    memory.bytes.fill(9, at, at + size);
  }
  equal(memory.bytes.subarray(pages, pages + length).every((byte) => byte === 7), true);
  throws(() => memory.allocatePages(2 ** 32), RangeError);
});
