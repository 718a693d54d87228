/**
 * The command lines of benchmarks.
 *
 * @module
 */

import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { parseOptions as parseMainOptions } from "../../bench/main.ts";
import { parseOptions } from "../../bench/proxy.ts";
import { parseSizes } from "../../bench/web.ts";

Deno.test("bench:web accepts only numbers of devices", () => {
  deepEqual(parseSizes([]), [1_000, 10_000, 100_000]);
  deepEqual(parseSizes(["50", "1000"]), [50, 1_000]);
  equal(parseSizes(["--help"]), undefined);
  for (const wrong of ["many", "0", "1.5", "1e3", "300000", "-5", "--devices"]) {
    throws(() => parseSizes([wrong]), TypeError, wrong);
  }
});

Deno.test("bench:proxy accepts only its options", () => {
  const all = parseOptions([])!;
  deepEqual([all.rounds, all.seconds, all.names], [3, 8, ["wgd", "netstack", "onetun"]]);
  const parts = all.parts.map(({ name }) => name);
  ok(new Set(parts).size === parts.length && parts.includes("quiet") && parts.includes("idle"));
  const few = parseOptions(["--rounds", "1", "--seconds=2", "--with", "wgd", "--only", "quiet"])!;
  deepEqual([few.rounds, few.seconds, few.names], [1, 2, ["wgd"]]);
  deepEqual(few.parts.map(({ name }) => name), ["quiet"]);
  equal(parseOptions(["--help"]), undefined);
  const wrong = [["--rounds", "0"], ["--seconds", "x"], ["--with", "wg"], ["--only", "row"], ["word"], [
    "--x",
  ]];
  for (const words of wrong) throws(() => parseOptions(words), TypeError, words.join(" "));
});

Deno.test("bench --profile refuses what it cannot follow, and names the option", () => {
  const profile = ["--profile", "folder"];
  deepEqual(parseMainOptions(profile)!.measurements.map(({ name }) => name), ["tcp"]);
  const one = parseMainOptions([...profile, "--only", "handshakes", "--quick"])!;
  deepEqual([one.measurements.map(({ name }) => name), one.seconds], [["handshakes"], 1]);
  const message =
    "--profile cannot be combined with --lanes: Deno profiles only the main thread of a process, " +
    "and lanes are other threads";
  throws(() => parseMainOptions([...profile, "--lanes", "2"]), { name: "TypeError", message });
  for (const name of ["cores", "rounds", "with", "peer", "json", "svg"]) {
    throws(
      () => parseMainOptions([...profile, `--${name}`, "1"]),
      new RegExp(`^TypeError: --profile cannot be combined with --${name}: `),
    );
  }
});
