import { deepEqual } from "node:assert/strict";
import { REASONS } from "../../../cli/render/diagnostics.ts";
import { Drop } from "../../../core/protocol/drops.ts";
import { BenchPair } from "../engine/bench_pair.ts";

Deno.test("every reason for a drop has a text", () => {
  const names = Object.keys(Drop).filter((name) => Number.isNaN(Number(name)));
  deepEqual(
    Object.keys(REASONS).filter((name) => !name.startsWith("system.")).sort(),
    [
      ...Object.keys(new BenchPair().near.path.drops).map((name) => `packet.${name}`),
      ...names.map((name) => `protocol.${name[0]!.toLowerCase()}${name.slice(1)}`),
    ].sort(),
  );
});
