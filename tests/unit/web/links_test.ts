import { deepEqual } from "node:assert/strict";
import { tellOf } from "../../../core/web/keeper/links.ts";
import type { LinksUp } from "../../../ffi/linux/link_watch.ts";

Deno.test("an interface that comes up is told, also after the folder could not be read", async () => {
  async function* ups(): AsyncGenerator<LinksUp> {
    yield new Set(["wg0", "eth0"]);
    yield new Set(["wg0"]);
    yield "unknown";
  }
  let reads = 0;
  const told: string[] = [];
  const logged: string[] = [];
  await tellOf(
    ups(),
    {
      interfaces: () =>
        ++reads === 1 ? Promise.reject(new Error("too many open files")) : Promise.resolve(["wg0", "wg1"]),
    },
    { tell: (notice) => void told.push("up" in notice ? notice.up : "routes") },
    (text) => void logged.push(text),
  );
  deepEqual(told, ["wg0", "wg0", "wg1"]);
  deepEqual(logged, ["it is not known which interface came up: too many open files"]);
});
