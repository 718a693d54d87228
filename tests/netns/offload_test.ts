import { deepEqual, equal, match, ok } from "node:assert/strict";
import { eventually } from "./lab/exec.ts";
import type { Host } from "./lab/host.ts";
import { generateKeys } from "./lab/keys.ts";
import { connect, Network } from "./lab/network.ts";
import { cut, differences, fromFile, oddPackets, toFile } from "./lab/odd_packets.ts";
import { rootTest } from "./lab/rooted.ts";
import { pingUntilAnswered } from "./lab/traffic.ts";
import { type Implementation, subject, Tunnel, wgdCommand } from "./lab/tunnel.ts";

const ALL = "tun-tcp,tun-udp,udp-gso,udp-gro,wide";
const PACKETS = 6_000;
const ENDS = {
  from: { 4: [10, 7, 0, 1], 6: [0xfd, 7, ...Array(13).fill(0), 1] },
  to: { 4: [10, 7, 0, 2], 6: [0xfd, 7, ...Array(13).fill(0), 2] },
};

/** How one end of a tunnel is made. */
interface Way {
  readonly implementation?: Implementation;
  /** Features to switch off. */
  readonly disable?: string;
  /** A program to run wgd by: what goes before its own words. */
  readonly under?: readonly string[];
}

interface Options {
  readonly near?: Way;
  readonly far?: Way;
  readonly mtu?: number;
  /** MTU of the cable. */
  readonly outside?: number;
  /** Family outside. */
  readonly family?: 4 | 6;
}

/** A tunnel between two hosts, whose ends may differ. */
async function tunnel(
  { near: nearWay = {}, far: farWay = {}, mtu = 1420, outside = 1500, family = 4 }: Options,
  test: (near: Host, far: Host, tunnels: { near: Tunnel; far: Tunnel }) => Promise<void>,
): Promise<void> {
  await using network = await Network.create("near", "far");
  const [near, far] = network.hosts;
  await connect({ host: near, name: "eth0", addresses: ["10.1.0.1/24", "fd01::1/64"] }, {
    host: far,
    name: "eth0",
    addresses: ["10.1.0.2/24", "fd01::2/64"],
  });
  const keys = [generateKeys(), generateKeys()] as const;
  const started: Tunnel[] = [];
  for (const [n, host, way] of [[1, near, nearWay], [2, far, farWay]] as const) {
    await host.ok("ip", "link", "set", "eth0", "mtu", String(outside));
    // Joins what arrives, as a network card's driver would, and waits a little for more: trains of flows in turn.
    await raw(host, "gro", "eth0");
    await host.sh(
      "echo 300000 > /sys/class/net/eth0/gro_flush_timeout; echo 1 > /sys/class/net/eth0/napi_defer_hard_irqs",
    );
    const other = 3 - n;
    let program: string | undefined;
    if (way.under) {
      program = host.path("/run/lab/under");
      const words = [...way.under, ...wgdCommand()].map((word) => `'${word}'`).join(" ");
      await Deno.writeTextFile(program, `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 });
      program = "/run/lab/under";
    }
    started.push(
      await Tunnel.start({
        implementation: way.implementation ?? subject(),
        program,
        machine: host,
        mtu,
        addresses: [`10.7.0.${n}/24`, ...(mtu >= 1280 ? [`fd07::${n}/64`] : [])],
        env: way.disable ? { WGD_DISABLE: way.disable } : {},
        config: {
          privateKey: keys[n - 1]!.privateKey,
          listenPort: 51820,
          peers: [{
            publicKey: keys[other - 1]!.publicKey,
            allowedIps: [`10.7.0.${other}/32`, `fd07::${other}/128`],
            endpoint: family === 4 ? `10.1.0.${other}:51820` : `[fd01::${other}]:51820`,
          }],
        },
      }),
    );
  }
  await pingUntilAnswered(near, "10.7.0.2", 20_000);
  await test(near, far, { near: started[0]!, far: started[1]! });
}

function lab(name: string, ...words: string[]): string[] {
  const program = new URL(`./lab/${name}.ts`, import.meta.url).pathname;
  return [Deno.execPath(), "run", "-A", "--no-config", "--no-lock", "--quiet", program, ...words];
}

async function raw(host: Host, ...words: string[]): Promise<string> {
  return await host.ok(...lab("raw_packets", ...words));
}

/** What `wgd show --json --verbose` tells of the only interface. */
async function diagnostics(host: Host) {
  const text = await host.ok(...wgdCommand(), "show", "--json", "--verbose", "wg0");
  const { interfaces: [{ diagnostics }] } = JSON.parse(text);
  return diagnostics as {
    features: { feature: string; on: boolean; why: string }[];
    drops: Record<string, number>;
  };
}

/** Sends megabytes both ways and compares what arrived with what was sent. */
async function transfer(near: Host, far: Host, address: string, megabytes = 8): Promise<void> {
  const server = await far.start(lab("transfer", "serve", address));
  await eventually("the server", () => server.output().includes("ready"));
  const told = await near.ok(...lab("transfer", "exchange", address, String(megabytes << 20)));
  equal(told.trim(), "the same both ways");
  await server.signal("KILL");
  await server.ended;
}

/** Sends packets as they are and returns what the far host's interface got. */
async function overTunnel(packets: readonly Uint8Array[], options: Options): Promise<Uint8Array[]> {
  let seen: Uint8Array[] = [];
  await tunnel(options, async (near, far) => {
    // Nobody answers, and nobody else talks: neither side's kernel sends anything, such as reports of multicast groups.
    // Raw packets do not pass this hook.
    for (const host of [near, far]) {
      await host.sh(
        "nft add table inet quiet; nft add chain inet quiet out '{ type filter hook output priority 0; oifname wg0 drop; }'",
      );
    }
    // A queue that holds all of them: what the kernel drops before wgd sees it is not what this is about.
    await near.ok("ip", "link", "set", "wg0", "txqueuelen", String(2 * packets.length));
    await Deno.writeFile(near.path("/run/lab/sent"), toFile(packets));
    const reader = await far.start(lab("raw_packets", "receive", "wg0", "/run/lab/seen"));
    await eventually("the reader", () => reader.output().includes("ready"));
    equal((await raw(near, "send", "wg0", "/run/lab/sent")).trim(), `sent ${packets.length}`);
    await eventually("the last packet", async () => {
      seen = fromFile(await Deno.readFile(far.path("/run/lab/seen"))).flatMap(cut);
      return seen.length >= packets.length;
    }, { within: 15_000, every: 200 }).catch(() => {});
    seen = fromFile(await Deno.readFile(far.path("/run/lab/seen")));
    const { drops } = await diagnostics(far);
    equal(drops["system.socketOverflow"], 0, "the socket of the test lost no datagrams");
    await reader.signal("KILL");
    await reader.ended;
  });
  return seen;
}

await rootTest("a host sees the same packets with all offloads as with none, however odd they are", {
  programs: ["nft"],
}, async (t) => {
  for (const [seed, family] of [[1, 4], [2, 6]] as const) {
    await t.step(`seed ${seed}, over IPv${family}`, async () => {
      const sent = oddPackets(seed, PACKETS, 1420, ENDS);
      const withAll = await overTunnel(sent, { family });
      const without = await overTunnel(sent, { family, near: { disable: ALL }, far: { disable: ALL } });
      deepEqual([without.flatMap(cut).length, withAll.flatMap(cut).length], [sent.length, sent.length]);
      const joined = withAll.filter((packet) => packet[1] !== 0);
      ok(joined.length > 100, `${joined.length} joined packets, of ${withAll.length}`);
      deepEqual(differences(without.flatMap(cut), sent), []);
      deepEqual(differences(withAll.flatMap(cut), sent), []);
      console.log(
        `      ${sent.length} packets in ${withAll.length} writes, ${joined.length} of them joined`,
      );
    });
  }
});

for (
  const [name, options] of [
    ["1420 over IPv4", {}],
    ["1420 over IPv6", { family: 6 }],
    ["1280, the least for IPv6", { mtu: 1280 }],
    ["576, without IPv6", { mtu: 576 }],
    ["65,455, the most", { mtu: 65_455, outside: 65_535 }],
    ["65,455 over IPv6", { mtu: 65_455, outside: 65_535, family: 6 }],
    ["9,000 over a cable of 1,500, in fragments", { mtu: 9_000 }],
  ] as [string, Options][]
) {
  await rootTest(
    `TCP arrives as it was sent with an MTU of ${name}`,
    {},
    () =>
      tunnel(options, async (near, far) => {
        await transfer(near, far, "10.7.0.2");
        if ((options.mtu ?? 1420) >= 1280) await transfer(near, far, "fd07::2");
      }),
  );
}

for (const implementation of ["wgd", "wireguard-go", "boringtun"] as const) {
  const peers = implementation === "wgd" ? [] : [implementation];
  for (const disable of [undefined, ALL, "udp-gso", "udp-gro", "tun-tcp", "tun-udp"]) {
    const name = disable === ALL
      ? "without any feature"
      : disable
      ? `without ${disable}`
      : "with all features";
    await rootTest(
      `TCP arrives as it was sent between wgd ${name} and ${implementation}`,
      { peers },
      () =>
        tunnel({ near: disable ? { disable } : {}, far: { implementation } }, async (near, far) => {
          await transfer(near, far, "10.7.0.2");
          await transfer(near, far, "fd07::2");
          const { features } = await diagnostics(near);
          deepEqual(
            features.filter(({ on }) => !on).map(({ feature, why }) => `${feature}: ${why}`),
            (disable?.split(",") ?? []).map((feature) => `${feature}: switched off`),
          );
        }),
    );
  }
}

/** Runs wgd where the kernel fails some of its calls. */
function failing(call: string, how: string, file?: string): readonly string[] {
  const only = file ? ["-P", file] : ["--seccomp-bpf"];
  return [
    "strace",
    "-f",
    "-qq",
    ...only,
    "-e",
    `trace=${call}`,
    "-e",
    `inject=${call}:${how}`,
    "-o",
    "/run/lab/trace",
  ];
}

/** Calls that failed because {@linkcode failing} said so. */
async function failed(host: Host): Promise<number> {
  return (await Deno.readTextFile(host.path("/run/lab/trace"))).match(/INJECTED/g)?.length ?? 0;
}

for (const [when, calls] of [["at the probe", ""], ["at run time", ":when=5+"]] as const) {
  await rootTest(`a kernel that refuses joined packets ${when} only reduces the speed`, {
    programs: ["strace"],
  }, () =>
    tunnel({ far: { under: failing("writev", `error=EINVAL${calls}`) } }, async (near, far) => {
      await transfer(near, far, "10.7.0.2", 4);
      // Packets of one train are joined before the first of them is refused.
      const refused = await failed(far);
      ok(refused >= 1 && refused <= 16, `${refused} refusals`);
      await transfer(near, far, "fd07::2", 4);
      equal(await failed(far), refused, "a super-packet is not written again after the first refusals");
      const { features, drops } = await diagnostics(far);
      equal(drops["packet.tunError"], 0);
      const tcp = features.find(({ feature }) => feature === "tun-tcp")!;
      ok(tcp.on);
      match(tcp.why, /the kernel refused joined TCP packets \(EINVAL\)/);
    }));
}

const TUN = "/dev/net/tun";

for (
  const [name, how, off] of [
    ["IFF_VNET_HDR", "when=1", { "tun-tcp": /IFF_VNET_HDR/, "tun-udp": /IFF_VNET_HDR/ }],
    ["USO", "when=2", { "tun-udp": /TUNSETOFFLOAD/ }],
    ["any offload", "when=2..4", { "tun-tcp": /TUNSETOFFLOAD/, "tun-udp": /TUNSETOFFLOAD/ }],
  ] as [string, string, Record<string, RegExp>][]
) {
  await rootTest(
    `a kernel without ${name} is detected when the interface is made`,
    { programs: ["strace"] },
    () =>
      tunnel({ near: { under: failing("ioctl", `error=EINVAL:${how}`, TUN) } }, async (near, far) => {
        await transfer(near, far, "10.7.0.2", 2);
        await transfer(near, far, "fd07::2", 2);
        const lost = (await diagnostics(near)).features.filter(({ on }) => !on);
        deepEqual(lost.map(({ feature }) => feature), Object.keys(off));
        for (const { feature, why } of lost) match(why, off[feature]!);
        ok(await failed(near) > 0);
      }),
  );
}

for (const errno of ["EIO", "EINVAL", "ENOMEM"]) {
  await rootTest(
    `reads from the interface that fail with ${errno} do not end it`,
    { programs: ["strace"] },
    () =>
      tunnel({ near: { under: failing("read", `error=${errno}:when=20+7`, TUN) } }, async (near, far) => {
        await transfer(near, far, "10.7.0.2", 2);
        const { drops } = await diagnostics(near);
        ok(drops["system.tunRead"]! > 10, `${drops["system.tunRead"]} failed`);
      }),
  );
}

await rootTest("a route that refuses trains (EIO) gets single datagrams from then on", {
  programs: ["strace"],
}, () =>
  tunnel({ near: { under: failing("sendmsg", "error=EIO:when=20+20") } }, async (near, far) => {
    await transfer(near, far, "10.7.0.2", 4);
    const gso = (await diagnostics(near)).features.find(({ feature }) => feature === "udp-gso")!;
    ok(gso.on);
    match(gso.why, /a route over IPv4 refused a train \(EIO\)/);
  }));
