import { deepEqual } from "node:assert/strict";
import plugin from "../../../scripts/lint_plugin.ts";

function reports(file: string, source: string): string[] {
  return Deno.lint.runPlugin(plugin, `/anywhere/${file}`, source).map(({ message }) => message);
}

const IMPURE = `
  Deno.readTextFileSync("x");
  new Date();
  Date.now();
  performance.now();
  crypto.getRandomValues(out);
  setTimeout(again, 5);
  async function later() { await sleep(); }
`;

Deno.test("purity: a clock, randomness, Deno or await is an error in the protocol, configuration and plans", () => {
  for (const file of ["core/protocol/timers.ts", "core/config/wg_config.ts", "core/quick/plan/up.ts"]) {
    deepEqual(
      reports(file, IMPURE).map((message) => message.split(" ")[0]),
      ["Deno", "Date", "Date", "performance", "crypto", "setTimeout", "await"],
      file,
    );
  }
});

Deno.test("purity: the rest of the program is not restricted", () => {
  for (const file of ["core/quick/run_steps.ts", "core/engine/engine.ts", "cli/main.ts"]) {
    deepEqual(reports(file, IMPURE), []);
  }
});

Deno.test("purity: the protocol may call its primitives crypto, and arguments now", () => {
  deepEqual(
    reports("core/protocol/noise.ts", "crypto.dh(out, a, b); this.crypto.seal(out); device.up(now);"),
    [],
  );
});
