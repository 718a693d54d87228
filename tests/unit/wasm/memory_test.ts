import { equal } from "node:assert/strict";
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
