/**
 * How an interface is made, changes under traffic, and ends without leaving anything.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { ADDRESSES, CABLE, Pair } from "./lab/pair.ts";
import { eventually, type Finished, must, sleep } from "./lab/exec.ts";
import { Host } from "./lab/host.ts";
import { generateKeys } from "./lab/keys.ts";
import { rootTest } from "./lab/rooted.ts";
import { flow, ping } from "./lab/traffic.ts";
import { Tunnel, wgdCommand } from "./lab/tunnel.ts";

const { near: NEAR, far: FAR } = ADDRESSES;
const wgd = wgdCommand();

async function onHost(name: string, test: (host: Host) => Promise<void>): Promise<void> {
  await using host = await Host.create(name);
  await test(host);
}

/** The remains of an interface on its host; nothing after a complete cleanup. */
async function traces(host: Host, name: string): Promise<string[]> {
  const left = await host.sh(`
    ip -o link show dev ${name} 2>/dev/null | cut -d: -f2 || true
    ls /run/wireguard/${name}.sock 2>/dev/null || true
    grep -slE "foregroun[d].${name}" /proc/[0-9]*/cmdline || true`);
  return left.split("\n").filter((line) => line !== "");
}

async function isClean(host: Host, name: string, within = 3_000): Promise<void> {
  await eventually(`${name} to be gone`, async () => (await traces(host, name)).length === 0, { within });
}

function failsPlainly({ code, stderr }: Finished, line: RegExp): void {
  equal(code, 1);
  match(stderr, line);
  ok(!/\bat \S+:\d+:\d+/.test(stderr), `there is a stack trace: ${stderr}`);
}

for (const signal of ["TERM", "INT", "QUIT"] as const) {
  await rootTest(
    `SIG${signal} ends interface, socket and process`,
    {},
    () =>
      onHost("host", async (host) => {
        const tunnel = await Tunnel.start({ implementation: "wgd", machine: host });
        const { code } = await tunnel.stop(signal);
        equal(code, 0);
        deepEqual(await traces(host, "wg0"), []);
      }),
  );
}

await rootTest("an interface ignores SIGHUP, SIGUSR1 and SIGUSR2", {}, () =>
  onHost("host", async (host) => {
    const tunnel = await Tunnel.start({ implementation: "wgd", machine: host });
    for (const signal of ["HUP", "USR1", "USR2"] as const) {
      await tunnel.process!.signal(signal);
      await tunnel.set("listen-port", "4444");
    }
    await host.sh("ip link show wg0; test -S /run/wireguard/wg0.sock");
    equal((await tunnel.stop()).code, 0);
  }));

for (
  const [what, command] of [
    ["the interface", "ip link delete wg0"],
    ["the control socket", "rm /run/wireguard/wg0.sock"],
  ] as const
) {
  await rootTest(`deleting ${what} ends the process`, {}, () =>
    onHost("host", async (host) => {
      await Tunnel.start({ implementation: "wgd", machine: host });
      await host.sh(command);
      await isClean(host, "wg0");
    }));
}

await rootTest(
  "a chmod of the control socket does not end the interface, and only the owner can use the socket from the start",
  {},
  () =>
    onHost("host", async (host) => {
      await Tunnel.start({ implementation: "wgd", machine: host });
      equal(await host.ok("stat", "-c", "%a", "/run/wireguard/wg0.sock"), "600\n");
      await host.sh("chmod 660 /run/wireguard/wg0.sock; touch /run/wireguard/wg0.sock");
      await sleep(100);
      match(await host.ok("wg", "show", "wg0"), /^interface: wg0/);
    }),
);

await rootTest(
  "programs that send invalid requests or nothing do not block the control socket for wg",
  {},
  () =>
    onHost("host", async (host) => {
      await Tunnel.start({ implementation: "wgd", machine: host });
      const path = host.path("/run/wireguard/wg0.sock");
      const strangers: Deno.UnixConn[] = [];
      try {
        for (const text of ["GET / HTTP/1.1\r\n\r\n\n\n", "", "set=1\n"]) {
          for (let i = 0; i < 64; i++) {
            const stranger = await Deno.connect({ transport: "unix", path });
            await stranger.write(new TextEncoder().encode(text));
            strangers.push(stranger);
          }
          match((await host.run(["timeout", "10", "wg", "show", "wg0"])).stdout, /^interface: wg0/);
        }
      } finally {
        for (const stranger of strangers) stranger.close();
      }
    }),
);

await rootTest(
  "after kill -9, the next start replaces the unused socket, but not one in use",
  {},
  () =>
    onHost("host", async (host) => {
      const tunnel = await Tunnel.start({ implementation: "wgd", machine: host });
      await tunnel.kill();
      equal((await traces(host, "wg0")).join(), "/run/wireguard/wg0.sock");
      const again = await Tunnel.start({ implementation: "wgd", machine: host });
      failsPlainly(await host.run([...wgd, "run", "wg0"]), /^wgd: .*(already exists|runs this interface)/);
      match(await again.wg("show", "wg0"), /^interface: wg0/);
    }),
);

await rootTest(
  "without --foreground, it returns when it can be configured, and closes its streams",
  {},
  () =>
    onHost("host", async (host) => {
      // Command substitution ends when the last writer of the pipe has gone.
      const out = await host.sh(
        `x=$(${wgd.join(" ")} run wg0 2>&1); wg set wg0 listen-port 7; wg show wg0 listen-port`,
      );
      equal(out, "7\n");
      await host.ok("ip", "link", "delete", "wg0");
      await isClean(host, "wg0");
    }),
);

await rootTest(
  "an impossible request is one line of error and leaves nothing behind",
  {},
  () =>
    onHost("host", async (host) => {
      for (const name of ["", "a/b", "sixteen-letters-", "..", "a b"]) {
        failsPlainly(await host.run([...wgd, "run", name]), /^(wgd: |Usage)/);
      }
      await host.sh("ip link add dummy9 type veth peer name dummy8");
      failsPlainly(await host.run([...wgd, "run", "dummy9"]), /^wgd: making the interface dummy9: /);
      const hidden = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$@"', "sh"];
      failsPlainly(
        await host.run([...hidden, ...wgd, "run", "wg0"]),
        /^wgd: opening \/dev\/net\/tun: no such file.*modprobe tun/,
      );
      const unprivileged = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"];
      failsPlainly(
        await host.run([...unprivileged, ...wgd, "run", "wg0"]),
        /^wgd: .*(not permitted|denied).*run as root or give CAP_NET_ADMIN/,
      );
      deepEqual(await traces(host, "wg0"), []);
    }),
);

await rootTest(
  "an idle interface with a thousand peers uses no processor time in ten seconds",
  {},
  () =>
    onHost("host", async (host) => {
      const peers = Array.from({ length: 1_000 }, (_, i) => ({
        publicKey: generateKeys().publicKey,
        allowedIps: [`10.${i >> 8}.${i & 255}.0/24`],
        endpoint: "192.0.2.1:1",
      }));
      const { process } = await Tunnel.start({
        implementation: "wgd",
        machine: host,
        config: { privateKey: generateKeys().privateKey, listenPort: 5, peers },
      });
      const ticks = async () => {
        const fields = (await host.ok("cat", `/proc/${process!.pid}/stat`)).split(") ")[1]!.split(" ");
        return Number(fields[11]) + Number(fields[12]);
      };
      await sleep(2_000);
      const before = await ticks();
      await sleep(10_000);
      equal(await ticks() - before, 0);
    }),
);

await rootTest("TCP continues while port, mark, key, MTU and link change", {}, async () => {
  await using pair = await Pair.create("wgd");
  await using tunnels = await pair.tunnels();
  const { near } = tunnels;
  const key = generateKeys();
  const flowed = await flow(pair.near, pair.far as Host, FAR.inside[4], {
    seconds: 8,
    meanwhile: async () => {
      await sleep(1_000);
      await near.set("listen-port", "50001");
      await sleep(500);
      await near.set("fwmark", "0x77");
      await sleep(500);
      await pair.near.ok("ip", "link", "set", "wg0", "mtu", "1280");
      await sleep(500);
      const peer = (await tunnels.far.show("peers"))[0]![0]!;
      const row = (await tunnels.far.show("allowed-ips"))[0]![1]!;
      await near.machine.sh("umask 077; cat > /run/lab/key", { stdin: key.privateKey });
      await near.set("private-key", "/run/lab/key");
      await tunnels.far.set(
        "peer",
        peer,
        "remove",
        "peer",
        key.publicKey,
        "allowed-ips",
        row.replaceAll(" ", ","),
      );
      await sleep(1_500);
      await pair.near.sh("ip link set wg0 down; sleep 0.2; ip link set wg0 up");
    },
  });
  equal((await near.show("fwmark")).join(), "0x77");
  match(await tunnels.far.endpoint(), /:50001$/);
  const last = flowed.tenths.slice(-10).reduce((sum, bytes) => sum + bytes, 0);
  ok(last > 0, `the last second still carried data: ${flowed.tenths}`);
});

await rootTest(
  "if the port is in use, a change is refused with its errno, and nothing is changed",
  {},
  () =>
    onHost("host", async (host) => {
      const first = await Tunnel.start({
        implementation: "wgd",
        machine: host,
        config: { listenPort: 7_000 },
      });
      await Tunnel.start({
        implementation: "wgd",
        machine: host,
        name: "wg1",
        config: { listenPort: 7_001 },
      });
      // It is notified by the kernel that it is up, and then opens its sockets.
      await eventually("both to listen", async () => {
        return /:7000 [^]*:7001 /.test(await host.sh("ss -Hlnu4 | sort"));
      });
      const { publicKey } = generateKeys();
      const words = [
        "wg",
        "set",
        "wg0",
        "listen-port",
        "7001",
        "peer",
        publicKey,
        "allowed-ips",
        "10.0.0.0/8",
      ];
      const { code, stderr } = await host.run(words);
      deepEqual([code, stderr], [1, "Unable to modify interface: Address already in use\n"]);
      deepEqual(await first.show("listen-port"), [["7000"]]);
      deepEqual(await first.show("peers"), []);
    }),
);

await rootTest("after a move to another namespace, it keeps its sockets", {}, async () => {
  await using pair = await Pair.create("wgd");
  await using inner = await Host.create("inner");
  await using tunnels = await pair.tunnels();
  // From outside both: process numbers mean the same to us and to the kernel.
  const enter = ["nsenter", "-t", String(pair.near.pid), "--net"];
  await must([...enter, "ip", "link", "set", "wg0", "netns", String(inner.pid)]);
  await inner.sh(`ip address add ${NEAR.inside[4]}/24 dev wg0; ip link set wg0 up`);
  deepEqual(await ping(inner, FAR.inside[4]), { sent: 10, answered: 10 });
  await inner.ok("ip", "link", "delete", "wg0");
  await isClean(pair.near, "wg0");
  tunnels.near.process = undefined;
  await Tunnel.start({ implementation: "wgd", machine: pair.near });
});

await rootTest("an interface that is moved at the moment it appears is found", {}, async () => {
  await using host = await Host.create("host");
  await using inner = await Host.create("inner");
  for (let round = 0; round < 8; round++) {
    const name = `wg${round}`;
    // From outside both: process numbers mean the same to us and to the kernel.
    const moving = must([
      ...["nsenter", "-t", String(host.pid), "--net", "timeout", "20", "sh", "-c"],
      `until ip link set ${name} netns ${inner.pid} 2>/dev/null; do :; done`,
    ]);
    const process = await host.start([...wgd, "run", "--foreground", name]);
    await moving;
    const port = String(100 + round);
    await eventually("its socket", () => host.ok("wg", "set", name, "listen-port", port));
    match(await inner.ok("ip", "link", "show", name), / mtu 1420 /);
    await inner.ok("ip", "link", "set", name, "up");
    await eventually("the port", async () => (await host.ok("ss", "-Huln", `sport = ${port}`)) !== "");
    await inner.ok("ip", "link", "delete", name);
    equal((await process.ended).code, 0, process.output());
  }
});

await rootTest("a packet without a peer is answered with host unreachable", {}, async () => {
  await using pair = await Pair.create("wgd");
  await using tunnels = await pair.tunnels();
  await tunnels.near.machine.sh("ip route add 10.99.0.0/16 dev wg0; ip -6 route add fd99::/64 dev wg0");
  for (const target of ["10.99.0.1", "fd99::1"]) {
    const { stdout } = await pair.near.run(["ping", "-c", "1", "-W", "2", target]);
    match(stdout, /Destination Host Unreachable|Address unreachable/);
  }
});

await rootTest(
  "a packet too big for a datagram is dropped, and its sender gets the MTU",
  {},
  async () => {
    await using pair = await Pair.create("wgd");
    await using tunnels = await pair.tunnels({ initiator: "near", mtu: 65_535 });
    // 65,535 bytes over either family. The first of them also begins the session.
    for (const [target, size] of [[FAR.inside[4], 65_507], [FAR.inside[6], 65_487]] as const) {
      const { stdout, stderr } = await pair.near.run([
        "ping",
        "-c",
        "1",
        "-W",
        "2",
        "-s",
        String(size),
        target,
      ]);
      match(stdout + stderr, /Frag needed.*mtu = 65475|Packet too big: mtu=65475/i);
    }
    ok(await tunnels.far.latestHandshake() > 0, "a keepalive has confirmed the session");
    // The kernel takes note and sends fragments. The far one learns it when it answers.
    for (const [target, size] of [[FAR.inside[4], 65_507], [FAR.inside[6], 65_487]] as const) {
      await ping(pair.near, target, { count: 1, size, wait: 1 });
      equal((await ping(pair.near, target, { count: 3, size, every: 0.2 })).answered, 3, target);
    }
    const flowed = await flow(pair.near, pair.far, FAR.inside[4], { amount: 4e6 });
    ok(flowed.bytes > 1e6, `TCP carried ${flowed.bytes} bytes`);
    match(
      await pair.near.ok(...wgd, "show", "wg0", "--verbose"),
      /\d+: to send: too big for one UDP datagram/,
    );
  },
);

await rootTest(
  "TCP works over a path that is too small for the tunnel's MTU: trains are fragmented",
  {},
  async () => {
    await using pair = await Pair.create("wgd");
    await using _tunnels = await pair.tunnels();
    for (const host of [pair.near, pair.far]) await host.ok("ip", "link", "set", CABLE, "mtu", "1400");
    const flowed = await flow(pair.near, pair.far, FAR.inside[4], { amount: 4e6 });
    ok(flowed.bytes > 1e6, `TCP carried ${flowed.bytes} bytes`);
  },
);

await rootTest(
  "an endpoint's scope may be an interface's alternative name",
  {},
  () =>
    onHost("host", async (host) => {
      await Tunnel.start({ implementation: "wgd", machine: host });
      await host.sh(
        "ip link add eth0 type veth peer name eth1; ip link property add dev eth0 altname enp0s31f6",
      );
      const { publicKey } = generateKeys();
      await host.ok(...wgd, "set", "wg0", "peer", publicKey, "endpoint", "[fe80::1%enp0s31f6]:7");
      equal(await host.ok("wg", "show", "wg0", "endpoints"), `${publicKey}\t[fe80::1%eth0]:7\n`);
    }),
);
