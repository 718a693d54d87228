/**
 * Our TCP against the kernel's over a wire in a namespace: resets at every point, closed windows, ends that disappear,
 * both ends of a stream, urgent bytes, small segments, and options that are turned off.
 *
 * @module
 */

import { equal } from "node:assert/strict";
import { Host } from "./lab/host.ts";
import { rootTest } from "./lab/rooted.ts";
import { CASES } from "./lab/tcp/cases.ts";

await rootTest("our TCP and the kernel's", {}, async (test) => {
  for (const name of Object.keys(CASES)) {
    await test.step(name, async () => {
      await using host = await Host.create("tcp");
      const program = new URL("lab/tcp/cases.ts", import.meta.url).pathname;
      const { code, stderr } = await host.run([
        ...[Deno.execPath(), "run", "--allow-all", "--no-check", "--quiet", program, name],
      ]);
      equal(code, 0, stderr);
    });
  }
});
