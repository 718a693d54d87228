/**
 * The rehearsal of the packet path comes to its end and leaves nothing.
 *
 * @module
 */

import { equal, ok } from "node:assert/strict";
import { MovingArena } from "../../../ffi/linux/arena.ts";
import { rehearse } from "../../../core/tunnel/rehearsal.ts";
import { Wasm } from "../../../wasm/mod.ts";

function descriptors(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

/** Runs steps of a rehearsal. @returns How many there were, and the random bytes that were used, keys among them. */
function rehearseFor(most: number, wasm: Wasm, budget = Infinity): { steps: number; secrets: Uint8Array[] } {
  const { getRandomValues } = crypto;
  const secrets: Uint8Array[] = [];
  crypto.getRandomValues = (out) => {
    getRandomValues.call(crypto, out);
    const bytes = new Uint8Array(out!.buffer, out!.byteOffset, out!.byteLength);
    if (bytes.length === 32) secrets.push(bytes.slice());
    return out;
  };
  try {
    const rehearsal = rehearse(new MovingArena(wasm.memory), wasm, true, budget);
    let steps = 0;
    while (steps < most && !rehearsal.next().done) steps++;
    rehearsal.return();
    return { steps, secrets };
  } finally {
    crypto.getRandomValues = getRandomValues;
  }
}

for (const [what, most] of [["at its end", Infinity], ["that is cut off", 30]] as const) {
  Deno.test(`a rehearsal ${what} closes all its descriptors and erases all its keys`, () => {
    const wasm = new Wasm();
    rehearseFor(1, wasm);
    const before = descriptors();
    const { steps, secrets } = rehearseFor(most, wasm);
    ok(steps >= 30, `${steps} steps`);
    ok(secrets.length >= 4, `${secrets.length} secrets`);
    equal(descriptors(), before);
    const memory = wasm.memory.bytes.toHex();
    for (const secret of secrets) ok(!memory.includes(secret.toHex()), "a key is still in packet memory");
  });
}

Deno.test("a rehearsal ends when its time is over, also on a slow machine", () => {
  equal(rehearseFor(Infinity, new Wasm(), 0).steps, 0);
  ok(rehearseFor(Infinity, new Wasm(), 0.001).steps <= 1);
});

Deno.test("in a rehearsal, short and long pings go through the tunnel in both directions", () => {
  const wasm = new Wasm();
  const { sealBatch, openBatch } = wasm;
  let sealed = 0, opened = 0, long = 0;
  wasm.sealBatch = (...args) => {
    sealed++;
    return sealBatch.apply(wasm, args);
  };
  wasm.openBatch = (...args) => {
    const packets = openBatch.apply(wasm, args);
    opened += packets;
    if (wasm.opened.wireBytes > 1_400) long++;
    return packets;
  };
  rehearseFor(Infinity, wasm);
  ok(sealed >= 60 && opened >= 30 && long >= 15, `${sealed} sealed, ${opened} opened, ${long} of them long`);
});
