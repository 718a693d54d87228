/**
 * Interfaces with lanes: real devices, real threads. Received data is compared with what was sent.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { eventually } from "./lab/exec.ts";
import type { Host } from "./lab/host.ts";
import type { Streamed } from "./lab/packet_streams.ts";
import { ADDRESSES, Pair } from "./lab/pair.ts";
import { rootTest } from "./lab/rooted.ts";
import { pingUntilAnswered } from "./lab/traffic.ts";
import { type Tunnel, wgdCommand } from "./lab/tunnel.ts";

const MTU = 1_420;
/** Busy machines are slow. */
const WAIT = { within: 60_000, every: 100 };
/** Bytes of traffic that show that it continues. */
const MUCH = 20 << 20;

/** What `wgd show --json --verbose` tells of lanes, and all that was dropped. */
async function diagnostics(host: Host): Promise<{ lanes: number; drops: Record<string, number> }> {
  const text = await host.ok(...wgdCommand(), "show", "--json", "--verbose", "wg0");
  const { interfaces: [{ diagnostics: { drops, queues } }] } = JSON.parse(text);
  const entry = (queues as { queue: string; length: number }[]).find(({ queue }) => queue === "lanes");
  const counts = Object.entries(drops as Record<string, number>).filter(([, count]) => count > 0);
  return { lanes: entry?.length ?? 0, drops: Object.fromEntries(counts) };
}

/** Streams of random packets while `meanwhile` runs. */
async function stream(
  { near, far }: { near: Host; far: Host },
  seeds: readonly number[],
  meanwhile: () => Promise<void>,
): Promise<Streamed[]> {
  const program = new URL("./lab/packet_streams.ts", import.meta.url).pathname;
  const words = ["run", "-A", "--no-config", "--no-lock", "--quiet", program, "wg0", String(MTU)];
  const child = new Deno.Command(Deno.execPath(), {
    args: [...words, ...[near.pid, far.pid, ...seeds].map(String)],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const output = new Response(child.stdout).text();
  const ended = child.status.then(({ code }) => {
    throw new Error(`the streams ended with ${code}`);
  });
  ended.catch(() => {});
  try {
    await Promise.race([meanwhile(), ended]);
  } finally {
    await child.stdin.close();
    await child.status;
  }
  return JSON.parse((await output).split("\n")[1]!);
}

/** No program answers received packets, and no other program sends any. */
async function quiet(host: Host): Promise<void> {
  const rule = "type filter hook output priority 0; oifname wg0 drop;";
  await host.sh(`nft add table inet quiet; nft add chain inet quiet out '{ ${rule} }'`);
  // A queue that holds a window of them: what the kernel drops before wgd sees it is not what this is about.
  await host.ok("ip", "link", "set", "wg0", "txqueuelen", "5000");
}

/** Waits until so many lanes are at work. */
async function lanesAt(count: number, ...hosts: Host[]): Promise<void> {
  for (const host of hosts) {
    await eventually(
      `${count} lanes of ${host.name}`,
      async () => (await diagnostics(host)).lanes === count,
      WAIT,
    );
  }
}

async function sent(tunnel: Tunnel): Promise<number> {
  return (await tunnel.transfer()).sent;
}

/** Waits until a tunnel has sent much more. */
async function muchMore(tunnel: Tunnel): Promise<void> {
  const before = await sent(tunnel);
  await eventually("more traffic", async () => await sent(tunnel) - before > MUCH, WAIT);
}

function verify(all: readonly Streamed[], what: string, joins = true): void {
  for (const { wrong, arrived, segments, sent, superPackets, bytes, writes, joined, flows } of all) {
    console.log(
      `      ${what}: ${sent} packets of ${flows} flows, ${superPackets} of them super-packets, ${segments} in all, ` +
        `${Math.round(bytes / 1e6)} MB; ${writes} writes, ${joined} of them joined`,
    );
    deepEqual(wrong, []);
    equal(arrived, segments);
    ok(superPackets > 500 && (!joins || joined > 500));
  }
}

/** Two hosts whose tunnel has lanes, without other traffic. */
async function scene(env: Record<string, string>) {
  await using made = new AsyncDisposableStack();
  const pair = made.use(await Pair.create("wgd"));
  const hosts = { near: pair.near, far: pair.far as Host };
  const tunnels = made.use(await pair.tunnels({ env }));
  await pingUntilAnswered(hosts.near, ADDRESSES.far.inside[4], 30_000);
  const ends = made.move();
  return { hosts, tunnels, [Symbol.asyncDispose]: () => ends.disposeAsync() };
}

async function nothingDropped(hosts: readonly Host[]): Promise<void> {
  for (const host of hosts) deepEqual((await diagnostics(host)).drops, {}, host.name);
}

for (const lanes of [0, 1, 2, 4]) {
  await rootTest(
    `random packets arrive as they were sent, in order within each flow, with ${lanes} lanes`,
    { programs: ["nft"] },
    async () => {
      await using made = await scene({ WGD_LANES: String(lanes) });
      const { hosts, hosts: { near, far }, tunnels } = made;
      for (const host of [near, far]) await quiet(host);
      // Without a keepalive in return for its data, near begins a new handshake after 15 seconds.
      const rule = "type filter hook input priority 0; iifname eth0 udp length 40 drop;";
      await near.sh(`nft add chain inet quiet in '{ ${rule} }'`);

      const first = await tunnels.near.latestHandshake();
      const oneWay = await stream(hosts, [1 + lanes], async () => {
        await lanesAt(lanes, near, far);
        await eventually(
          "a new session",
          async () => await tunnels.near.latestHandshake() !== first,
          WAIT,
        );
        await muchMore(tunnels.near);
      });
      verify(oneWay, "one way, with a new session in the middle");

      await near.sh("nft delete chain inet quiet in");
      const bothWays = await stream(hosts, [11 + lanes, 21 + lanes], async () => {
        await lanesAt(lanes, near, far);
        await muchMore(tunnels.near);
        await muchMore(tunnels.far);
      });
      verify(bothWays, "both ways");
      await nothingDropped([near, far]);
    },
  );
}

for (const disable of ["tun-tcp,udp-gso,udp-gro,wide", "udp-gso", "udp-gro", "tun-udp"]) {
  await rootTest(`random packets arrive as they were sent with lanes, without ${disable}`, {
    programs: ["nft"],
  }, async () => {
    await using made = await scene({ WGD_LANES: "2", WGD_DISABLE: disable });
    const { hosts, hosts: { near, far }, tunnels } = made;
    for (const host of [near, far]) await quiet(host);
    const both = await stream(hosts, [31, 32], async () => {
      await lanesAt(2, near, far);
      await muchMore(tunnels.near);
      await muchMore(tunnels.far);
    });
    verify(both, `without ${disable}`, disable === "tun-udp");
    await nothingDropped([near, far]);
  });
}

/** A TCP flow that runs until it is stopped. */
async function busyFlow(client: Host, server: Host, words: readonly string[] = []) {
  const address = ADDRESSES.far.inside[4];
  const listening = await server.start(["iperf3", "-s", "-1", "-p", "5201", "--forceflush"]);
  await eventually("iperf3", () => listening.output().includes("Server listening"));
  const flow = await client.start([...words, "iperf3", "-c", address, "-p", "5201", "-t", "300"]);
  return async () => {
    for (const process of [flow, listening]) await process.signal("KILL");
    await Promise.all([flow.ended, listening.ended]);
  };
}

await rootTest("an interface goes down and up, and to another namespace and back, while its lanes are busy", {
  programs: ["iperf3"],
}, async () => {
  await using made = await scene({ WGD_LANES: "2" });
  const { hosts: { near, far }, tunnels } = made;
  const end = await busyFlow(near, far);
  for (let i = 0; i < 5; i++) {
    await lanesAt(2, near, far);
    await muchMore(tunnels.near);
    await near.sh("ip link set wg0 down; ip link set wg0 up");
  }
  await muchMore(tunnels.near);
  await near.sh("ip netns add X");
  await near.sh(
    `ip link set wg0 netns X; ip -n X address add ${
      ADDRESSES.near.inside[4]
    }/24 dev wg0; ip -n X link set wg0 up`,
  );
  await end();
  const inside = ["ip", "netns", "exec", "X"];
  await eventually(
    "an answer",
    () => near.ok(...inside, "ping", "-c1", "-W1", ADDRESSES.far.inside[4]),
    WAIT,
  );
  const endInside = await busyFlow(near, far, inside);
  await lanesAt(2, near, far);
  await muchMore(tunnels.near);
  await near.sh(
    `ip -n X link set wg0 netns 1; ip address add ${ADDRESSES.near.inside[4]}/24 dev wg0; ip link set wg0 up`,
  );
  await endInside();
  await pingUntilAnswered(near, ADDRESSES.far.inside[4], WAIT.within);
  const endAgain = await busyFlow(near, far);
  await muchMore(tunnels.near);
  await endAgain();
  for (const { process } of [tunnels.near, tunnels.far]) equal(process!.output(), "");
});
