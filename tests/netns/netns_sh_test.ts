/**
 * The scenarios of the kernel's own tests (tools/testing/selftests/wireguard/netns.sh), with processes of ours at both
 * ends. Numbers in brackets are those of the scenarios in the order of that script.
 *
 * @module
 */

import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { eventually, sleep } from "./lab/exec.ts";
import type { Host, Machine } from "./lab/host.ts";
import { generateKeys, generatePresharedKey } from "./lab/keys.ts";
import { addAddresses, connect, Network } from "./lab/network.ts";
import { rootTest } from "./lab/rooted.ts";
import { flow, ping } from "./lab/traffic.ts";
import { subject, Tunnel } from "./lab/tunnel.ts";

const implementation = subject();
const keys = [generateKeys(), generateKeys(), generateKeys()] as const;
const [key1, key2, key3] = keys;
const presharedKey = generatePresharedKey();
const INSIDE = {
  1: { 4: "192.168.241.1", 6: "fd00::1" },
  2: { 4: "192.168.241.2", 6: "fd00::2" },
} as const;
const networks = (n: 1 | 2) => [`${INSIDE[n][4]}/24`, `${INSIDE[n][6]}/24`];
const hostRoutes = (n: 1 | 2) => [`${INSIDE[n][4]}/32`, `${INSIDE[n][6]}/128`];

/** The script's `ping -W 1 -c 1`. */
async function answers(from: Machine, target: string, words: readonly string[] = []): Promise<void> {
  equal(
    (await ping(from, target, { count: 1, wait: 1, words })).answered,
    1,
    `${target} answers ${from.name}`,
  );
}

async function floods(from: Machine, target: string, count = 10): Promise<void> {
  deepEqual(await ping(from, target, { count, every: 0.002, wait: 1 }), {
    sent: count,
    answered: count,
  });
}

/** The script's function `tests`: pings both ways, then TCP and UDP over both families, then many flows at once. */
async function traffic(
  n1: Host,
  n2: Host,
  addresses: typeof INSIDE,
  parallel: readonly number[] = [],
): Promise<void> {
  for (const family of [4, 6] as const) {
    await floods(n2, addresses[1][family]);
    await floods(n1, addresses[2][family]);
    ok((await flow(n2, n1, addresses[1][family])).bytes > 0);
    ok((await flow(n1, n2, addresses[2][family], { udp: true })).bytes > 0);
  }
  for (const streams of parallel) ok((await flow(n2, n1, addresses[1][4], { streams })).bytes > 0);
}

/** Writes a key to a file that `wg set` reads. */
async function keyFile(host: Machine, key: string): Promise<string> {
  const file = `${host.scratch}/key`;
  await host.sh(`umask 077; cat > ${file}`, { stdin: key });
  return file;
}

/** What arrives at a UDP port within a second of somebody sending "X" to it. */
async function delivered(from: Host, to: Host, address: string): Promise<string> {
  const listener = await to.start(["ncat", "-l", "-u", "-p", "1111"]);
  await eventually("ncat", async () => (await to.ok("ss", "-Huln", "sport = 1111")) !== "");
  await from.sh(`echo X | ncat -u --send-only ${address} 1111`);
  await eventually("the datagram", () => listener.output() !== "", { within: 1_000 }).catch(() => {});
  await listener.signal("KILL");
  await listener.ended;
  return listener.output().trim();
}

await rootTest(`netns.sh 1-14: both ends on one host's loopback, interfaces in two others`, {
  programs: ["ncat", "iptables", "ss"],
}, async (t) => {
  await using network = await Network.create("ns0", "ns1", "ns2");
  const [n0, n1, n2] = network.hosts;
  const tunnel = (n: 1 | 2, other: 1 | 2) =>
    Tunnel.start({
      implementation,
      machine: n0,
      name: `wg${n}`,
      at: n === 1 ? n1 : n2,
      addresses: networks(n),
      config: {
        privateKey: keys[n - 1]!.privateKey,
        listenPort: n,
        peers: [{
          publicKey: keys[other - 1]!.publicKey,
          presharedKey,
          allowedIps: hostRoutes(other),
          endpoint: `127.0.0.1:${other}`,
        }],
      },
    });
  const wg1 = await tunnel(1, 2);
  const wg2 = await tunnel(2, 1);
  const point = async (host: string) => {
    await wg1.set("peer", key2.publicKey, "endpoint", `${host}:2`);
    await wg2.set("peer", key1.publicKey, "endpoint", `${host}:1`);
  };
  const setMtu = async (mtu: number) => {
    await n1.ok("ip", "link", "set", "wg1", "mtu", String(mtu));
    await n2.ok("ip", "link", "set", "wg2", "mtu", String(mtu));
  };
  const LARGE = 34_816 - 1_500 + 1_420;

  await t.step("[1] ten pings: exactly their bytes and those of the handshake are counted", async () => {
    // One at a time: a series goes on until it has ten answers, and on a busy machine it has sent more by then.
    for (let i = 0; i < 10; i++) await answers(n2, INSIDE[1][4]);
    const initiator = await wg2.transfer();
    const responder = await wg1.transfer();
    // Ten pings of 84 bytes, padded to 96, plus 32 each; initiation 148, response 92, perhaps a keepalive of 32.
    equal(initiator.received, 10 * 128 + 92);
    ok([1_428, 1_460].includes(initiator.sent), `sent ${initiator.sent}`);
    deepEqual(responder, { received: initiator.sent, sent: initiator.received });
    notEqual(await wg1.latestHandshake(), 0);
    notEqual(await wg2.latestHandshake(), 0);
  });
  await t.step(
    "[2-4] pings, TCP, UDP, 4, 5 and 50 flows at once, over IPv4",
    () => traffic(n1, n2, INSIDE, [4, 5, 50]),
  );
  await t.step(`[5] the same with an MTU of ${LARGE}`, async () => {
    await setMtu(LARGE);
    await traffic(n1, n2, INSIDE);
  });
  await t.step(`[7] the same with an MTU of ${LARGE} over IPv6`, async () => {
    await point("[::1]");
    await traffic(n1, n2, INSIDE);
  });
  await t.step("[6] the same over IPv6", async () => {
    await setMtu(1_420);
    await traffic(n1, n2, INSIDE);
  });
  await t.step("[8] padding never makes a packet larger than the MTU", async () => {
    await point("127.0.0.1");
    await setMtu(1_300);
    // 1,298 bytes would be padded to 1,312, but 1,300 + 32 (data message) + 8 (UDP) + 20 (IPv4) = 1,360.
    const rule = ["INPUT", "-m", "length", "--length", "1361:65535", "-j", "DROP"];
    await n0.ok("iptables", "-A", ...rule);
    await answers(n2, INSIDE[1][4], ["-s", "1270"]);
    await n0.ok("iptables", "-D", ...rule);
    await setMtu(1_420);
  });
  await t.step("[9] an end that changes address and port is followed", async () => {
    await n0.sh("ip -4 address del 127.0.0.1/8 dev lo; ip -4 address add 127.212.121.99/8 dev lo");
    await wg1.set("listen-port", "9999");
    await wg1.set("peer", key2.publicKey, "endpoint", "127.0.0.1:2");
    await answers(n1, INSIDE[2][6]);
    equal(await wg2.endpoint(), "127.212.121.99:9999");
  });
  await t.step("[10] and from IPv4 to IPv6", async () => {
    await wg1.set("listen-port", "9998");
    await wg1.set("peer", key2.publicKey, "endpoint", "[::1]:2");
    await answers(n1, INSIDE[2][4]);
    equal(await wg2.endpoint(), "[::1]:9998");
  });
  await t.step("[11] a source within the peer's allowed IPs is delivered", async () => {
    await wg1.set("peer", key2.publicKey, "allowed-ips", "192.168.241.0/24");
    equal(await delivered(n2, n1, INSIDE[1][4]), "X");
  });
  await t.step(
    "[12] one that belongs to another peer is not, but the sender is authentic and followed",
    async () => {
      const { publicKey } = generateKeys();
      await wg1.set("peer", publicKey, "allowed-ips", `${INSIDE[2][4]}/32`);
      await wg2.set("listen-port", "9997");
      equal(await delivered(n2, n1, INSIDE[1][4]), "");
      await wg1.set("peer", publicKey, "remove");
      equal(await wg1.endpoint(), "[::1]:9997");
    },
  );
  await t.step("[13] after a change of private key the first ping is answered", async () => {
    await wg1.set("private-key", await keyFile(n0, key3.privateKey));
    const psk = await keyFile(n0, presharedKey);
    await wg2.set(...["peer", key3.publicKey, "preshared-key", psk, "allowed-ips", `${INSIDE[1][4]}/32`], ...[
      "peer",
      key1.publicKey,
      "remove",
    ]);
    await answers(n1, INSIDE[2][4]);
  });
  await t.step("[14] a tunnel within the tunnel carries all of that too", async () => {
    await wg2.set("peer", key3.publicKey, "allowed-ips", hostRoutes(1).join());
    await wg1.set("peer", key2.publicKey, "allowed-ips", hostRoutes(2).join());
    const nested = { 1: { 4: "192.168.99.1", 6: "fd99::1" }, 2: { 4: "192.168.99.2", 6: "fd99::2" } };
    const [inner1, inner2] = [generateKeys(), generateKeys()];
    const start = (machine: Host, n: 1 | 2, own: string, other: string) =>
      Tunnel.start({
        implementation,
        machine,
        name: "inner",
        mtu: 1_340,
        addresses: [`${nested[n][4]}/24`, `${nested[n][6]}/64`],
        config: {
          privateKey: own,
          listenPort: 5,
          peers: [{
            publicKey: other,
            allowedIps: ["0.0.0.0/0", "::/0"],
            endpoint: `[${INSIDE[n === 1 ? 2 : 1][6]}]:5`,
          }],
        },
      });
    await start(n1, 1, inner1.privateKey, inner2.publicKey);
    await start(n2, 2, inner2.privateKey, inner1.publicKey);
    await traffic(n1, n2, nested as unknown as typeof INSIDE);
  });
});

await rootTest(
  "netns.sh 15: two tunnels that are routed into each other recover",
  {},
  async () => {
    await using network = await Network.create("ns1", "ns2");
    const [n1, n2] = network.hosts;
    await connect({ host: n1, name: "veth1", addresses: ["10.0.0.1/24"] }, {
      host: n2,
      name: "veth2",
      addresses: ["10.0.0.2/24"],
    });
    const start = async (
      machine: Host,
      name: string,
      n: 1 | 2,
      outside: string,
      inside: string,
      mtu: number,
    ) =>
      await Tunnel.start({
        implementation,
        machine,
        name,
        mtu,
        addresses: [`${inside}.${n}/24`],
        config: {
          privateKey: keys[n - 1]!.privateKey,
          listenPort: name === "wg0" ? 50 : 51,
          peers: [{
            publicKey: keys[2 - n]!.publicKey,
            allowedIps: [`${inside}.${3 - n}/32`],
            endpoint: `${outside}.${3 - n}:${name === "wg0" ? 50 : 51}`,
          }],
        },
      });
    const outer = await start(n1, "wg0", 1, "10.0.0", "10.7.0", 1_420);
    const inner = await start(n1, "wg1", 1, "10.7.0", "10.8.0", 1_340);
    const outerThere = await start(n2, "wg0", 2, "10.0.0", "10.7.0", 1_420);
    await start(n2, "wg1", 2, "10.7.0", "10.8.0", 1_340);
    await answers(n1, "10.8.0.2");

    await outer.set("peer", key2.publicKey, "endpoint", "10.8.0.2:50");
    const before = await inner.transfer();
    const { answered } = await ping(n1, "10.8.0.2", { count: 10, every: 0.002, wait: 1 });
    equal(answered, 0);
    await sleep(1_000);
    const { sent } = await inner.transfer();
    console.log(`    the loop carried ${sent - before.sent} bytes in a second`);
    const memory = Number(
      /VmRSS:\s+(\d+)/.exec(await n1.ok("cat", `/proc/${inner.process!.pid}/status`))![1],
    );
    ok(memory < 400_000, `uses ${memory} kB of memory`);

    // What is on its way through the loop is authentic, so both outer ends may follow it back in (whitepaper, section
    // 2.1); wireguard-go's do as well. So both are told while the loop is cut.
    for (const host of [n1, n2]) await host.ok("ip", "link", "set", "wg1", "down");
    await outer.set("peer", key2.publicKey, "endpoint", "10.0.0.2:50");
    await outerThere.set("peer", key1.publicKey, "endpoint", "10.0.0.1:50");
    for (const host of [n1, n2]) await host.ok("ip", "link", "set", "wg1", "up");
    await eventually("the tunnel to recover", async () => {
      await answers(n1, "10.8.0.2");
      return true;
    }, { within: 20_000 });
  },
);

await rootTest(
  "netns.sh 16-21: a client behind network address translation",
  { programs: ["iptables"] },
  async (t) => {
    await using network = await Network.create("ns0", "ns1", "ns2");
    const [n0, n1, n2] = network.hosts;
    await connect({ host: n1, name: "vethc", addresses: ["192.168.1.100/24"] }, {
      host: n0,
      name: "vethrc",
      addresses: ["192.168.1.1/24"],
    });
    await connect({ host: n0, name: "vethrs", addresses: ["10.0.0.1/24"] }, {
      host: n2,
      name: "veths",
      addresses: ["10.0.0.100/24"],
    });
    await n1.ok("ip", "route", "add", "default", "via", "192.168.1.1");
    await n0.sh(`
    echo 1 > /proc/sys/net/ipv4/ip_forward
    iptables -t nat -A POSTROUTING -s 192.168.1.0/24 -d 10.0.0.0/24 -j SNAT --to 10.0.0.1
    echo 2 > /proc/sys/net/netfilter/nf_conntrack_udp_timeout
    echo 2 > /proc/sys/net/netfilter/nf_conntrack_udp_timeout_stream`);
    // The server first, because a client that gets no answer waits five seconds before it tries again.
    const wg2 = await Tunnel.start({
      implementation,
      machine: n2,
      addresses: networks(2),
      config: {
        privateKey: key2.privateKey,
        listenPort: 2,
        peers: [{ publicKey: key1.publicKey, presharedKey, allowedIps: hostRoutes(1) }],
      },
    });
    const wg1 = await Tunnel.start({
      implementation,
      machine: n1,
      addresses: networks(1),
      config: {
        privateKey: key1.privateKey,
        listenPort: 1,
        peers: [{
          publicKey: key2.publicKey,
          presharedKey,
          allowedIps: hostRoutes(2),
          endpoint: "10.0.0.100:2",
          persistentKeepalive: 1,
        }],
      },
    });

    await t.step("[16] a keepalive every second keeps the translation open", async () => {
      await answers(n1, INSIDE[2][4]);
      await answers(n2, INSIDE[1][4]);
      equal(await wg2.endpoint(), "10.0.0.1:1");
      await sleep(3_000);
      await answers(n2, INSIDE[1][4]);
      await wg1.set("peer", key2.publicKey, "persistent-keepalive", "0");
    });
    await t.step("[17] marked packets and sockets bound to the interface find their way", async () => {
      await answers(n1, INSIDE[2][4], ["-I", "wg0"]);
      const rule = ["OUTPUT", "-j", "MARK", "--set-xmark", "1"];
      await n1.ok("iptables", "-t", "mangle", "-I", ...rule);
      await answers(n1, INSIDE[2][4]);
      await answers(n1, INSIDE[2][4], ["-I", "wg0"]);
      await n1.ok("iptables", "-t", "mangle", "-D", ...rule);
    });
    await t.step("[18] a peer can be reached through another of the same interface", async () => {
      await n1.ok("ip", "address", "add", "192.168.242.1/24", "dev", "wg0");
      await wg1.set("peer", key3.publicKey, "allowed-ips", "192.168.242.2/32", "endpoint", "192.168.241.2:5");
      const onion = await Tunnel.start({
        implementation,
        machine: n2,
        name: "wg1",
        addresses: ["192.168.242.2/24"],
        config: {
          privateKey: key3.privateKey,
          listenPort: 5,
          peers: [{ publicKey: key1.publicKey, allowedIps: ["192.168.242.1/32"] }],
        },
      });
      await answers(n1, "192.168.242.2");
      await onion.stop();
    });
    await t.step(
      "[19] a peer whose endpoint is its own inner address gets no answer, and nothing else is affected",
      async () => {
        await wg1.set("peer", key3.publicKey, "endpoint", "192.168.242.2:5");
        equal((await ping(n1, "192.168.242.2", { count: 1, wait: 1 })).answered, 0);
        await wg1.set("peer", key3.publicKey, "remove");
        await n1.ok("ip", "address", "del", "192.168.242.1/24", "dev", "wg0");
        await answers(n1, INSIDE[2][4]);
      },
    );
    await t.step("[20] the default route goes into the tunnel, its own packets do not (fwmark)", async () => {
      await n1.sh("ip -6 address add fc00::9/96 dev vethc nodad; ip -6 route add default via fc00::1");
      await addAddresses(n2, "wg0", ["192.168.99.7/32", "abab::1111/128"]);
      await wg1.set("fwmark", "51820", "peer", key2.publicKey, "allowed-ips", "192.168.99.7,abab::1111");
      await n1.sh(
        ["-6", "-4"].map((family) => `
      ip ${family} route add default dev wg0 table 51820
      ip ${family} rule add not fwmark 51820 table 51820
      ip ${family} rule add table main suppress_prefixlength 0`).join(""),
      );
      await n1.sh("echo 0 > /proc/sys/net/ipv4/conf/vethc/rp_filter");
      await floods(n1, "192.168.99.7", 100);
      await floods(n1, "abab::1111", 100);
    });
    await t.step("[21] an unreachable answer crosses address translation on its way back", async () => {
      await n2.sh(`
      iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -d 192.168.241.0/24 -j SNAT --to 192.168.241.2
      echo 1 > /proc/sys/net/ipv4/ip_forward`);
      await n0.ok("ip", "-4", "route", "add", "192.168.241.1", "via", "10.0.0.100");
      await wg2.set("peer", key1.publicKey, "remove");
      const { stdout } = await n0.run(["ping", "-W", "1", "-c", "1", "192.168.241.1"]);
      match(stdout, /icmp_seq=1 Destination Host Unreachable/);
    });
  },
);

await rootTest("netns.sh 22-25: source addresses follow the path and the sender", {}, async (t) => {
  await using network = await Network.create("ns1", "ns2");
  const [n1, n2] = network.hosts;
  await connect({ host: n1, name: "veth1" }, { host: n2, name: "veth2" });
  const start = (machine: Host, n: 1 | 2) =>
    Tunnel.start({
      implementation,
      machine,
      addresses: networks(n),
      config: {
        privateKey: keys[n - 1]!.privateKey,
        listenPort: n,
        peers: [{ publicKey: keys[2 - n]!.publicKey, presharedKey, allowedIps: hostRoutes(n === 1 ? 2 : 1) }],
      },
    });
  const wg1 = await start(n1, 1);
  const wg2 = await start(n2, 2);
  const readdress = async (host: Host, name: string, ...addresses: string[]) => {
    await host.sh(`ip -4 address flush dev ${name}; ip -6 address flush dev ${name}`);
    await addAddresses(host, name, addresses);
  };

  await t.step("[22] when the source address is deleted the next packet takes another", async () => {
    await readdress(n1, "veth1", "10.0.0.1/24", "fd00:aa::1/96");
    await readdress(n2, "veth2", "10.0.0.2/24", "fd00:aa::2/96");
    await n1.sh("echo 1 > /proc/sys/net/ipv4/conf/veth1/promote_secondaries");
    await wg1.set("peer", key2.publicKey, "endpoint", "10.0.0.2:2");
    await answers(n1, INSIDE[2][4]);
    await n1.sh("ip address add 10.0.0.10/24 dev veth1; ip address del 10.0.0.1/24 dev veth1");
    await answers(n1, INSIDE[2][4]);
    await wg1.set("peer", key2.publicKey, "endpoint", "[fd00:aa::2]:2");
    await answers(n1, INSIDE[2][4]);
    await n1.sh("ip address add fd00:aa::10/96 dev veth1 nodad; ip address del fd00:aa::1/96 dev veth1");
    await answers(n1, INSIDE[2][4]);
  });
  await t.step("[23] an answer comes from the address to which the request was sent", async () => {
    await readdress(n1, "veth1", "10.0.0.1/24", "10.0.0.2/24", "fd00:aa::1/96", "fd00:aa::2/96");
    await readdress(n2, "veth2", "10.0.0.3/24", "fd00:aa::3/96");
    for (const endpoint of ["10.0.0.1:1", "[fd00:aa::1]:1", "10.0.0.2:1", "[fd00:aa::2]:1"]) {
      await wg2.set("peer", key1.publicKey, "endpoint", endpoint);
      await answers(n2, INSIDE[1][4]);
      equal(await wg2.endpoint(), endpoint);
    }
  });
  await t.step("[24] even if this address belongs to an interface that is not on the path", async () => {
    await n1.ok("ip", "address", "add", "10.50.0.1/32", "dev", "lo");
    await n2.ok("ip", "route", "add", "10.50.0.0/24", "dev", "veth2");
    await wg2.set("peer", key1.publicKey, "endpoint", "10.50.0.1:1");
    await answers(n2, INSIDE[1][4]);
    equal(await wg2.endpoint(), "10.50.0.1:1");
  });
  await t.step("[25] when a better route appears the next packet takes it, with its source", async () => {
    await readdress(n1, "veth1", "10.0.0.1/24");
    await readdress(n2, "veth2", "10.0.0.2/24");
    await connect({ host: n1, name: "veth3", addresses: ["10.0.0.3/24"] }, { host: n2, name: "veth4" });
    await n1.sh(
      "ip route flush dev veth1; ip route flush dev veth3; ip route add 10.0.0.0/24 dev veth1 src 10.0.0.1 metric 2",
    );
    await wg1.set("peer", key2.publicKey, "endpoint", "10.0.0.2:2");
    await answers(n1, INSIDE[2][4]);
    equal(await wg2.endpoint(), "10.0.0.1:1");
    await n1.sh("ip route add 10.0.0.0/24 dev veth3 src 10.0.0.3 metric 1");
    await n1.sh("for i in all veth1; do echo 0 > /proc/sys/net/ipv4/conf/$i/rp_filter; done");
    await n2.sh("for i in all veth4; do echo 0 > /proc/sys/net/ipv4/conf/$i/rp_filter; done");
    await answers(n1, INSIDE[2][4]);
    equal(await wg2.endpoint(), "10.0.0.3:1");
  });
});

await rootTest("netns.sh 26-31: configurations of every size and kind", {}, async (t) => {
  await using network = await Network.create("ns0");
  const [n0] = network.hosts;
  const wg0 = await Tunnel.start({ implementation, machine: n0 });
  const shown = async () =>
    (await n0.ok("wg", "show", "wg0", "allowed-ips")).trimEnd().split("\n").map((line) => line.split(/\s+/));

  await t.step("[26] 130,560 allowed IPs of one peer", async () => {
    const allowedIps: string[] = [];
    for (let a = 0; a < 255; a++) {
      for (let b = 0; b < 256; b++) {
        allowedIps.push(`${a}.${b}.0.0/16`, `${a.toString(16)}:${b.toString(16)}::/128`);
      }
    }
    await wg0.configure({ peers: [{ publicKey: key2.publicKey, allowedIps }] });
    equal((await shown())[0]!.length, allowedIps.length + 1);
  });
  await t.step("[27] 52 allowed IPs of each of 40 peers", async () => {
    const peers = Array.from({ length: 40 }, (_, a) => ({
      publicKey: generateKeys().publicKey,
      allowedIps: Array.from({ length: 52 }, (_, b) => `${a}:${b}::/64`),
    }));
    await wg0.configure({ peers });
    deepEqual((await shown()).map((words) => words.length), new Array(40).fill(53));
  });
  await t.step("[28] 30 peers, the last with two allowed IPs, by showconf", async () => {
    const peers = Array.from({ length: 30 }, (_, i) => ({
      publicKey: generateKeys().publicKey,
      allowedIps: i === 29 ? ["1.2.3.4/32", "1.2.3.5/32"] : [],
    }));
    await wg0.configure({ peers });
    const text = await wg0.wg("showconf", "wg0");
    equal(text.split("[Peer]").length, 31);
    match(text, /AllowedIPs = 1\.2\.3\.4\/32, 1\.2\.3\.5\/32/);
  });
  await t.step("[29] a peer without allowed IPs and one with 197", async () => {
    const allowedIps = Array.from({ length: 197 }, (_, i) => `abcd:${i}::/128`);
    await wg0.configure({
      peers: [{ publicKey: key1.publicKey, allowedIps: [] }, { publicKey: key2.publicKey, allowedIps }],
    });
    const rows = await shown();
    equal(rows.find(([peer]) => peer === key1.publicKey)![1], "(none)");
    equal(rows.find(([peer]) => peer === key2.publicKey)!.length, 198);
  });
  await t.step("[30] single allowed IPs are removed, and no others", async () => {
    // Debian's wg does not support the minus sign, so this uses the socket.
    await wg0.configure({
      peers: [{ publicKey: key1.publicKey, allowedIps: ["10.0.0.0/8", "10.1.0.0/16", "fd00::/8"] }],
    });
    const hex = Buffer.from(key1.publicKey, "base64").toString("hex");
    const answer = await request(
      n0,
      `set=1\npublic_key=${hex}\nallowed_ip=-10.1.0.0/16\nallowed_ip=-10.2.0.0/16\n\n`,
    );
    equal(answer, "errno=0\n\n");
    deepEqual((await shown())[0]!.slice(1).toSorted(), ["10.0.0.0/8", "fd00::/8"]);
  });
  await t.step(
    "[31] keys: none, one's own, one that becomes one's own, unclamped; no such interface",
    async () => {
      notEqual((await n0.run(["wg", "show", "doesnotexist"])).code, 0);
      await wg0.configure({ privateKey: key1.privateKey });
      await wg0.set("private-key", "/dev/null", "peer", key2.publicKey, "preshared-key", "/dev/null");
      equal((await wg0.show("private-key")).join(), "(none)");
      equal((await wg0.show("preshared-keys"))[0]![1], "(none)");

      await wg0.configure({ privateKey: key1.privateKey });
      await wg0.set("peer", key1.publicKey);
      deepEqual(await wg0.show("peers"), []);
      await wg0.set("peer", key2.publicKey);
      await wg0.set("private-key", await keyFile(n0, key2.privateKey));
      deepEqual(await wg0.show("peers"), []);

      const unclamped = Buffer.alloc(32, 0xff);
      const clamped = Buffer.from(unclamped);
      clamped[0]! &= 248;
      clamped[31]! = clamped[31]! & 127 | 64;
      await wg0.set("private-key", await keyFile(n0, unclamped.toString("base64")));
      equal((await wg0.show("private-key")).join(), clamped.toString("base64"));

      const [one, other] = [generateKeys().publicKey, generateKeys().publicKey];
      for (const mask of [0, 1, 8, 24, 31, 32]) {
        await wg0.set(
          "peer",
          one,
          "allowed-ips",
          `1.2.3.4/${mask}`,
          "peer",
          other,
          "allowed-ips",
          `1.2.3.4/${mask}`,
        );
      }
      deepEqual((await shown()).map(([peer, ...ips]) => [peer, ips]), [[one, ["(none)"]], [other, [
        "1.2.3.4/32",
      ]]]);
    },
  );
});

await rootTest("netns.sh 32: nothing is sent to peers with public keys of low order", {
  programs: ["iptables"],
}, async () => {
  await using network = await Network.create("ns0");
  const [n0] = network.hosts;
  const LOW_ORDER = [
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "4Ot6fDtBuK4WVuP68Z/EatoJjeucMrH9hmIFFl9JuAA=",
    "X5yVvKNQjCSx0LFVnIPvWwREXMRYHI6G2CJO3dCfEVc=",
    "7P///////////////////////////////////////38=",
    "7f///////////////////////////////////////38=",
    "7v///////////////////////////////////////38=",
  ];
  const wg0 = await Tunnel.start({ implementation, machine: n0, config: { privateKey: key1.privateKey } });
  await n0.ok("iptables", "-A", "OUTPUT", "-o", "lo", "-p", "udp", "--dport", "1111");
  for (const peer of LOW_ORDER) {
    await wg0.set("peer", peer, "persistent-keepalive", "1", "endpoint", "127.0.0.1:1111");
  }
  equal((await wg0.show("peers")).length, LOW_ORDER.length);
  await sleep(2_000);
  match(await n0.ok("iptables", "-nvxL", "OUTPUT"), /^ +0 +0 .*dpt:1111/m);
});

/** Sends a request to the control socket of wg0. */
async function request(host: Host, text: string): Promise<string> {
  const socket = await Deno.connect({ transport: "unix", path: host.path("/run/wireguard/wg0.sock") });
  await socket.write(new TextEncoder().encode(text));
  let answer = "";
  for await (const part of socket.readable.pipeThrough(new TextDecoderStream())) {
    answer += part;
    if (answer.endsWith("\n\n")) break;
  }
  return answer;
}
