/**
 * The keys that lanes have, if there are more sessions than handles.
 *
 * @module
 */

import { equal, notEqual, ok } from "node:assert/strict";
import { Board, HANDLES, IN, OUT } from "../../../core/engine/lanes/board.ts";
import { SharedKeys } from "../../../core/engine/lanes/shared_keys.ts";
import { keyAt, KEYS_BYTES } from "../../../core/engine/lanes/slots.ts";
import { Wasm } from "../../../wasm/mod.ts";

Deno.test("if all handles are in use, a session without jobs loses its handle, and its keys are erased", () => {
  const wasm = new Wasm();
  const shared = new SharedKeys(new Board(), wasm);
  const table = { memory: { bytes: new Uint8Array(KEYS_BYTES), origin: 0 }, keys: 0 };
  const slots = Array.from({ length: HANDLES + 1 }, (_, i) => {
    const key = new Uint8Array(32).fill(1 + i % 255);
    return wasm.install(key, key, i);
  });
  const handles = slots.slice(0, HANDLES).map((slot) => shared.share(slot, [table]));
  equal(new Set(handles).size, HANDLES);
  // All except one have a job.
  const idle = 200;
  for (const [i, handle] of handles.entries()) if (i !== idle) shared.jobPosted(i % 2 ? IN : OUT, handle);
  const late = slots[HANDLES]!;
  equal(shared.share(late, [table]), handles[idle]);
  ok(shared.wasShared(slots[idle]!), "a lane's stack may still contain its keys");
  ok(!shared.hasJobs(OUT, slots[idle]!) && !shared.hasJobs(IN, slots[idle]!));
  ok(shared.hasJobs(OUT, slots[0]!) && !shared.hasJobs(IN, slots[0]!));

  // Now each of them has a job.
  shared.jobPosted(OUT, handles[idle]!);
  equal(shared.share(slots[idle]!, [table]), -1);
  shared.jobFinished(OUT, handles[0]!);
  equal(shared.share(slots[idle]!, [table]), handles[0]);
  notEqual(shared.share(late, [table]), handles[0]);

  shared.unshare(late, [table]);
  const at = keyAt(table.keys, handles[idle]!);
  ok(table.memory.bytes.subarray(at, keyAt(table.keys, handles[idle]! + 1)).every((byte) => byte === 0));
  shared.unshareAll([table]);
  ok(table.memory.bytes.every((byte) => byte === 0));
  ok(!slots.some((slot) => shared.wasShared(slot)));
});
