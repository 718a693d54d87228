/**
 * `wgd doctor` with tunnels that are broken in known ways.
 *
 * @module
 */

import { doesNotMatch, equal, match } from "node:assert/strict";
import type { Host } from "./lab/host.ts";
import { generateKeys } from "./lab/keys.ts";
import { connect, Network } from "./lab/network.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const wgd = wgdCommand();
const PROGRAMS = ["wg", "ping", "nft"];
const [ours, theirs] = [generateKeys(), generateKeys()];
const SERVER = `[Interface]
PrivateKey = ${theirs.privateKey}
Address = 10.0.0.1/24
ListenPort = 51820

[Peer]
PublicKey = ${ours.publicKey}
AllowedIPs = 10.0.0.2/32
`;
const CLIENT = `[Interface]
PrivateKey = ${ours.privateKey}
Address = 10.0.0.2/24

[Peer]
PublicKey = ${theirs.publicKey}
AllowedIPs = 10.0.0.0/24
Endpoint = 192.0.2.1:51820
`;

/** Two hosts with a tunnel; `change` breaks the client's file. */
async function tunnel(change: (file: string) => string = (file) => file, serverFile = SERVER) {
  await using made = new AsyncDisposableStack();
  const network = made.use(await Network.create("server", "client"));
  const [server, client] = network.hosts;
  await connect(
    { host: server, name: "eth0", addresses: ["192.0.2.1/24"] },
    { host: client, name: "eth0", addresses: ["192.0.2.2/24"] },
  );
  for (const [host, text] of [[server, serverFile], [client, change(CLIENT)]] as const) {
    await host.sh("umask 077; cat > /run/lab/wg0.conf", { stdin: text });
    const up = await host.run([...wgd, "quick", "up", "/run/lab/wg0.conf"]);
    equal(up.code, 0, up.stderr);
  }
  made.move();
  return { network, client };
}

/** Runs the doctor after a ping. */
async function ask(client: Host, code: number, ...args: string[]): Promise<string> {
  await client.run(["ping", "-c", "1", "-W", "1", "10.0.0.1"]);
  const finished = await client.run([...wgd, "doctor", "wg0", ...args]);
  equal(finished.code, code, finished.stdout + finished.stderr);
  return finished.stdout;
}

await rootTest(
  "wgd doctor finds nothing wrong with a tunnel that works",
  { programs: PROGRAMS },
  async () => {
    const { network, client } = await tunnel();
    await using _network = network;
    const text = await ask(client, 0, "10.0.0.1");
    match(text, /^ok .*handshake \d+ seconds ago$/m);
    match(text, /^ok .*10\.0\.0\.1 goes through wg0 to peer/m);
    const { findings } = JSON.parse(await client.ok(...wgd, "doctor", "wg0", "--json"));
    equal(findings.every(({ level }: { level: string }) => level === "ok"), true);
  },
);

await rootTest("wgd doctor: a wrong key of the peer", { programs: PROGRAMS }, async () => {
  const { network, client } = await tunnel((file) =>
    file.replace(theirs.publicKey, generateKeys().publicKey)
  );
  await using _network = network;
  match(
    await ask(client, 1),
    /^fail .*no handshake yet; \d+ bytes were sent, none were received\n.*its public key is/m,
  );
});

await rootTest("wgd doctor: a server that does not take our address", { programs: PROGRAMS }, async () => {
  const { network, client } = await tunnel(undefined, SERVER.replace("10.0.0.2/32", "10.0.0.7/32"));
  await using _network = network;
  await client.run(["ping", "-c", "3", "-i", "0.2", "-W", "1", "10.0.0.1"]);
  match(
    await ask(client, 0),
    /^warn .*handshake \d+ seconds ago, but it has not answered any packet\n.*allowed IPs .*\(wg show\)/m,
  );
});

await rootTest("wgd doctor: keepalives ask for no answer", { programs: PROGRAMS }, async () => {
  const { network, client } = await tunnel((file) => `${file}PersistentKeepalive = 1\n`);
  await using _network = network;
  await new Promise((resolve) => setTimeout(resolve, 8_000));
  doesNotMatch(await client.ok(...wgd, "doctor", "wg0"), /^warn/m);
});

await rootTest("wgd doctor: an endpoint without a route", { programs: PROGRAMS }, async () => {
  const { network, client } = await tunnel((file) => file.replace("192.0.2.1:", "198.51.100.1:"));
  await using _network = network;
  match(await ask(client, 1), /^fail .*no route to its endpoint 198\.51\.100\.1:51820\n.*default route/m);
});

await rootTest("wgd doctor: a firewall that drops UDP", { programs: PROGRAMS }, async () => {
  const { network, client } = await tunnel();
  await using _network = network;
  await client.sh("nft -f -", {
    stdin: "table inet lab { chain out { type filter hook output priority 0; udp dport 51820 drop; }; }\n",
  });
  match(await ask(client, 1), /^fail .*firewall drops its packets: udp dport 51820 drop\n.*nft/m);
});

await rootTest("wgd doctor: a server whose firewall lets nobody in", { programs: PROGRAMS }, async () => {
  const { network, client } = await tunnel();
  await using _network = network;
  const [server] = network.hosts;
  await server.sh("nft -f -", {
    stdin: `table inet lab {
      chain in {
        type filter hook input priority 0; policy drop
        ct state established,related accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
        tcp dport 22 accept
      }
    }\n`,
  });
  await ask(client, 1);
  const closed = await server.run([...wgd, "doctor", "wg0"]);
  const [, mend] =
    /^warn {2}the firewall drops packets that no rule accepts.*51820\n.*: (nft insert rule .*)$/m
      .exec(closed.stdout) ?? [];
  match(mend ?? closed.stdout, /^nft/);
  await server.sh(mend!);
  await client.run([...wgd, "quick", "down", "wg0"]);
  await client.run([...wgd, "quick", "up", "/run/lab/wg0.conf"]);
  match(await ask(client, 0), /^ok .*handshake \d+ seconds ago/m);
  doesNotMatch((await server.run([...wgd, "doctor", "wg0"])).stdout, /^(warn|fail)/m);
});

await rootTest(
  "wgd doctor: allowed IPs without the address that is wanted",
  { programs: PROGRAMS },
  async () => {
    const { network, client } = await tunnel((file) => file.replace("10.0.0.0/24", "10.0.0.9/32"));
    await using _network = network;
    match(await ask(client, 1, "10.0.0.1"), /^fail .*10\.0\.0\.1 is in no peer's allowed IPs\n.*AllowedIPs/m);
  },
);

await rootTest(
  "wgd doctor: an interface that is down and has no address",
  { programs: PROGRAMS },
  async () => {
    const { network, client } = await tunnel();
    await using _network = network;
    await client.sh("ip address flush dev wg0; ip link set wg0 down");
    const text = await ask(client, 1);
    match(text, /^fail {2}the interface is down\n.*ip link set up dev wg0/m);
    match(text, /^fail {2}the interface has no address\n/m);
  },
);

await rootTest(
  "wgd doctor: an MTU that the way does not take is a warning, and no failure",
  { programs: PROGRAMS },
  async () => {
    const { network, client } = await tunnel();
    await using _network = network;
    await client.sh("ip link set mtu 1400 dev eth0");
    const text = await ask(client, 0);
    match(
      text,
      /^warn .*packets of 1420 bytes do not fit the route to 192\.0\.2\.1:51820, whose MTU is 1400\n.*mtu 1340/m,
    );
  },
);

await rootTest(
  "wgd doctor: a firewall that masquerades what is not forwarded",
  { programs: PROGRAMS },
  async () => {
    const { network, client } = await tunnel();
    await using _network = network;
    await client.sh("nft -f -", {
      stdin: "table ip lab { chain out { type nat hook postrouting priority 100; masquerade; }; }\n",
    });
    await client.sh("sysctl -q net.ipv4.ip_forward=0");
    match(
      await ask(client, 1),
      /^fail .*masquerades, but this machine does not forward IPv4\n.*ip_forward=1/m,
    );
    await client.sh("sysctl -q net.ipv4.ip_forward=1");
    await ask(client, 0);
  },
);

await rootTest("wgd doctor: an interface in another namespace, asked there and outside", {
  programs: PROGRAMS,
}, async () => {
  const hook = "ip link set %i netns X; ip -n X address add 10.0.0.2/24 dev %i; ip -n X link set up dev %i";
  const { network, client } = await tunnel(
    (file) => file.replace("[Peer]", `Table = off\nPreUp = ip netns add X\nPostUp = ${hook}\n[Peer]`),
  );
  await using _network = network;
  const there = ["ip", "netns", "exec", "X"];
  await client.ok(...there, "ping", "-c", "1", "-W", "3", "10.0.0.1");
  for (const at of [[], there]) {
    const { code, stdout, stderr } = await client.run([...at, ...wgd, "doctor", "wg0", "10.0.0.1"]);
    equal(code, 0, stdout + stderr);
    doesNotMatch(stdout, /^(warn|fail) /m);
    match(stdout, /^ok .*its endpoint 192\.0\.2\.1:51820 is reached through eth0$/m);
    match(stdout, /^ok .*10\.0\.0\.1 goes through wg0 to peer/m);
    equal(/^ok .*it is in the network namespace X$/m.test(stdout), at.length === 0, stdout);
  }
});
