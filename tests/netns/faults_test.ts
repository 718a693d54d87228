import { doesNotMatch, equal, match, ok } from "node:assert/strict";
import { eventually, sleep } from "./lab/exec.ts";
import type { Host, Process } from "./lab/host.ts";
import { generateKeys } from "./lab/keys.ts";
import { connect, lose, Network } from "./lab/network.ts";
import type { Wire } from "./lab/relay.ts";
import { rootTest } from "./lab/rooted.ts";
import { flow, ping, pingUntilAnswered, sweep } from "./lab/traffic.ts";
import { subject, Tunnel } from "./lab/tunnel.ts";

const WIRE = { port: 7000, to: 51820 };
const MTU = 1420;

/** Two hosts whose tunnel runs over a bad wire. */
async function over(
  faults: Omit<Wire, "port" | "to">,
  test: (near: Host, far: Host, relay: Process) => Promise<void>,
): Promise<void> {
  await using network = await Network.create("near", "far");
  const [near, far] = network.hosts;
  await connect({ host: near, name: "eth0", addresses: ["10.1.0.1/24"] }, {
    host: far,
    name: "eth0",
    addresses: ["10.1.0.2/24"],
  });
  const program = new URL("./lab/relay.ts", import.meta.url).pathname;
  const wire = JSON.stringify({ ...WIRE, ...faults });
  const relay = await far.start([Deno.execPath(), "run", "-A", "--cached-only", "--quiet", program, wire]);
  await eventually("the relay", () => relay.output().includes("ready"));
  const keys = [generateKeys(), generateKeys()] as const;
  for (const [n, host] of [near, far].entries()) {
    await Tunnel.start({
      implementation: subject(),
      machine: host,
      mtu: MTU,
      addresses: [`10.7.0.${n + 1}/24`, `fd07::${n + 1}/64`],
      config: {
        privateKey: keys[n]!.privateKey,
        listenPort: 51820,
        peers: [{
          publicKey: keys[1 - n]!.publicKey,
          allowedIps: [`10.7.0.${2 - n}/32`, `fd07::${2 - n}/128`],
          endpoint: host === near ? "10.1.0.2:7000" : undefined,
        }],
      },
    });
  }
  await pingUntilAnswered(near, "10.7.0.2", 20_000);
  await test(near, far, relay);
}

await rootTest(
  "datagrams doubled, late and out of order: every packet arrives whole, and once",
  {},
  () =>
    over({ duplicate: 0.3, delay: 2, jitter: 20 }, async (near) => {
      equal(await sweep(near, "10.7.0.2", MTU), MTU - 27);
      equal(await sweep(near, "fd07::2", MTU), MTU - 47);
      const pings = await near.ok("ping", "-q", "-c", "100", "-i", "0.002", "-W", "2", "10.7.0.2");
      match(pings, /100 packets transmitted, 100 received/);
      doesNotMatch(pings, /duplicates/);
    }),
);

await rootTest(
  "datagrams with a bit turned over are lost, and nothing else is",
  {},
  () =>
    over({ corrupt: 0.2, seed: 7 }, async (near) => {
      const pings = await near.ok("ping", "-c", "200", "-i", "0.002", "-W", "2", "-s", "1000", "10.7.0.2");
      doesNotMatch(pings, /wrong data|DUP/);
      const answered = Number(/(\d+) received/.exec(pings)![1]);
      // Both directions must succeed: 0.8² = 64 %; eight standard deviations are 54 of 200.
      ok(answered > 74 && answered < 182, `${answered} of 200 answered`);
    }),
);

await rootTest(
  "with every fifth datagram lost TCP goes on, and handshakes do not pile up",
  {},
  () =>
    over({ loss: 0.2, delay: 1 }, async (near, far, relay) => {
      const flowed = await flow(near, far, "10.7.0.2", { seconds: 8 });
      // TCP itself waits twice as long after each consecutive loss: 3 s after four, which happens once in sixty.
      ok(flowed.tenths.slice(-60).some((bytes) => bytes > 0), "data arrives in the last six seconds");
      const initiations = relay.output().split("\n").filter((line) => line === "1").length;
      // One every five seconds, by either side, until one succeeds. The connection itself needs none.
      ok(initiations <= 8, `${initiations} initiations`);
    }),
);

await rootTest("after two minutes without any datagram the tunnel is back within six seconds", {
  full: true,
  programs: ["nft"],
}, () =>
  over({}, async (near) => {
    const stream = await near.start(["ping", "-q", "-i", "0.1", "10.7.0.2"]);
    await lose(near, "eth0", 100);
    await sleep(120_000);
    const before = (await ping(near, "10.7.0.2", { count: 1, wait: 1 })).answered;
    equal(before, 0);
    await lose(near, "eth0", 0);
    const milliseconds = await pingUntilAnswered(near, "10.7.0.2", 30_000);
    await stream.signal("INT");
    await stream.ended;
    // A handshake is tried every 5 s, plus a random third of a second at most.
    ok(milliseconds < 6_000, `it took ${milliseconds} ms`);
  }));
