import { equal, ok } from "node:assert/strict";
import { ADDRESSES, Pair } from "./lab/pair.ts";
import { rootTest } from "./lab/rooted.ts";

const PROGRAM = new URL("./lab/crowd.ts", import.meta.url).pathname;

await rootTest(
  "a socket detects that unreachable hosts fill its send buffer, while there is still space",
  {},
  async () => {
    await using pair = await Pair.create("wgd");
    const far = ADDRESSES.far.outside[4];
    const network = far.replace(/\.\d+$/, "");
    const words = ["run", "-A", "--cached-only", "--quiet", PROGRAM, network, far];
    const output = await pair.near.ok(Deno.execPath(), ...words);
    const { before, datagrams, errno } = JSON.parse(output);
    equal(before, false);
    ok(datagrams < 20_000, `still not crowded after ${datagrams} datagrams`);
    equal(errno, 0);
  },
);
