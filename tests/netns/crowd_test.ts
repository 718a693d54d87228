import { equal, ok } from "node:assert/strict";
import { connect, Network } from "./lab/network.ts";
import { rootTest } from "./lab/rooted.ts";

await rootTest(
  "a socket knows that hosts which are not there fill its send buffer, while there is room",
  {},
  async () => {
    await using network = await Network.create("near", "far");
    const [near, far] = network.hosts;
    await connect({ host: near, name: "eth0", addresses: ["10.1.0.1/24"] }, {
      host: far,
      name: "eth0",
      addresses: ["10.1.0.2/24"],
    });
    const program = new URL("./lab/crowd.ts", import.meta.url).pathname;
    const output = await near.ok(
      ...[Deno.execPath(), "run", "-A", "--cached-only", "--quiet", program, "10.1.0", "10.1.0.2"],
    );
    const { before, datagrams, errno } = JSON.parse(output);
    equal(before, false);
    ok(datagrams < 20_000, `still not crowded after ${datagrams} datagrams`);
    equal(errno, 0);
  },
);
