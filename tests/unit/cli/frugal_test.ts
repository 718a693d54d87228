import { deepEqual, equal, ok } from "node:assert/strict";
import { interfaceCommand, narrowSelf } from "../../../cli/self.ts";
import { FRUGAL, FRUGAL_INTERFACE } from "../../../core/v8_flags.ts";

Deno.test("the web process has few permissions, and little memory for new objects", () => {
  const { args } = narrowSelf(["--allow-net"]);
  ok(!args.includes("--allow-all"));
  ok(args.includes("--allow-net"));
  const flags = args.filter((word) => word.startsWith("--v8-flags="));
  deepEqual(flags.map((word) => word.endsWith(`,${FRUGAL}`)), [true]);
});

Deno.test("the process of an interface has little memory for new objects", () => {
  const { args, env } = interfaceCommand();
  equal(env.MALLOC_ARENA_MAX, Deno.env.get("MALLOC_ARENA_MAX") ?? "2");
  deepEqual(args.slice(-2), ["run", "--foreground"]);
  const flags = args.filter((word) => word.startsWith("--v8-flags="));
  deepEqual(flags.map((word) => word.endsWith(`,${FRUGAL_INTERFACE}`)), [true]);
});
