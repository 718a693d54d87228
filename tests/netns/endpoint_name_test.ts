/**
 * A server that moves: its name is looked up again, and the tunnel recovers by itself, unless the file turns this off.
 *
 * @module
 */

import { equal, match } from "node:assert/strict";
import { eventually } from "./lab/exec.ts";
import type { Host } from "./lab/host.ts";
import { generateKeys } from "./lab/keys.ts";
import { connect, Network } from "./lab/network.ts";
import { rootTest } from "./lab/rooted.ts";
import { pingUntilAnswered } from "./lab/traffic.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const wgd = wgdCommand();
const server = generateKeys();
const FILE = "/run/lab/wg0.conf";
const NAME = "vpn.example";

/** Clients by number, each with other settings for names. */
const CLIENTS = [
  { what: "follows the name", line: "", env: {} },
  { what: "says no in its file", line: "# wgd: ResolveEndpoints = off\n", env: {} },
  { what: "says no in the environment", line: "", env: { WGD_RESOLVE_ENDPOINTS: "off" } },
];

async function quick(host: Host, action: string, env: Record<string, string> = {}): Promise<string> {
  const { code, stderr } = await host.run([...wgd, "quick", action, FILE], { env });
  equal(code, 0, stderr);
  return stderr;
}

const write = (host: Host, text: string) => host.sh(`umask 077; cat > ${FILE}`, { stdin: text });

/** Sets the address of the name, in a hosts file that only this host uses. */
async function setName(host: Host, address: string): Promise<void> {
  await host.sh(`
    echo "${address} ${NAME}" > /run/lab/hosts
    mountpoint -q /etc/hosts || mount --bind /run/lab/hosts /etc/hosts`);
}

const endpoint = async (host: Host) => (await host.sh("wg show wg0 endpoints")).split(/\s/)[1];

/** The names that the interface has, which only wgd reports. */
async function names(host: Host): Promise<string> {
  const text = await host.sh(
    "printf 'get=1\\n\\n' | ncat -U -i 0.2 /run/wireguard/wg0.sock 2>/dev/null || true",
  );
  return text.split("\n").filter((line) => line.startsWith("endpoint_name=")).join();
}

await rootTest("a server that moves is found again by its name, unless file or environment say no", {
  programs: ["wg", "ping", "ncat"],
}, async () => {
  await using network = await Network.create("far", "one", "two", "three");
  const [far, ...clients] = network.hosts;
  const keys = clients.map(() => generateKeys());
  await far.sh("ip link add br0 type bridge; ip address add 192.0.2.1/24 dev br0; ip link set br0 up");
  for (const [i, host] of clients.entries()) {
    await connect({ host: far, name: `eth${i}` }, { host, name: "eth0", addresses: [`192.0.2.1${i}/24`] });
    await far.sh(`ip link set eth${i} master br0; ip link set eth${i} up`);
    await setName(host, "192.0.2.1");
  }
  const peers = keys.map(({ publicKey }, i) =>
    `[Peer]\nPublicKey = ${publicKey}\nAllowedIPs = 10.0.0.1${i}/32\n`
  );
  await write(
    far,
    `[Interface]\nPrivateKey = ${server.privateKey}\nAddress = 10.0.0.1/24\nListenPort = 51820\n${
      peers.join("")
    }`,
  );
  await quick(far, "up");
  const file = (i: number, line: string) =>
    `[Interface]\nPrivateKey = ${keys[i]!.privateKey}\nAddress = 10.0.0.1${i}/24\n${line}\n[Peer]\n` +
    `PublicKey = ${server.publicKey}\nEndpoint = ${NAME}:51820\nAllowedIPs = 10.0.0.0/24\n`;
  for (const [i, { line, env }] of CLIENTS.entries()) {
    await write(clients[i]!, file(i, line));
    await quick(clients[i]!, "up", env);
    await pingUntilAnswered(clients[i]!, "10.0.0.1");
    equal(await names(clients[i]!), i === 0 ? `endpoint_name=${NAME}:51820` : "");
  }

  // A changed name is no reason to leave a server that answers.
  for (const host of clients) await setName(host, "192.0.2.9");
  const pings = await Promise.all(clients.map((host) => host.start(["ping", "-i", "0.5", "10.0.0.1"])));
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  for (const host of clients) equal(await endpoint(host), "192.0.2.1:51820");

  // A process that continued would contact the clients by itself.
  await quick(far, "down");
  await far.sh("ip address flush dev br0; ip address add 192.0.2.9/24 dev br0");
  await quick(far, "up");
  // 15 s until the silence is noticed, 10 s with two unanswered initiations, and the next one is sent to the new
  // address.
  await eventually("the tunnel to recover", async () => await endpoint(clients[0]!) === "192.0.2.9:51820", {
    within: 45_000,
    every: 200,
  });
  await pingUntilAnswered(clients[0]!, "10.0.0.1");
  for (const [i, { what }] of CLIENTS.entries()) {
    equal(await endpoint(clients[i]!), i === 0 ? "192.0.2.9:51820" : "192.0.2.1:51820", what);
  }
  for (const ping of pings) await ping.signal("INT");

  // A reload applies the file's settings: one client begins to look names up again, and one stops.
  await write(clients[1]!, file(1, ""));
  match(await quick(clients[1]!, "reload"), /wg set wg0 peer \S+ \(endpoint by name, vpn\.example:51820\)/);
  equal(await names(clients[1]!), `endpoint_name=${NAME}:51820`);
  await write(clients[0]!, file(0, CLIENTS[1]!.line));
  match(await quick(clients[0]!, "reload"), /wg set wg0 peer \S+ \(endpoint by address\)/);
  equal(await names(clients[0]!), "");
  equal(await quick(clients[0]!, "reload"), "");
  // Setting an address with wg's own command also ends it.
  await clients[1]!.sh(`wg set wg0 peer ${server.publicKey} endpoint 192.0.2.9:51820`);
  equal(await names(clients[1]!), "");
});

await rootTest(
  "a name that cannot be looked up keeps its own peer out, and no other; it is looked up later",
  {
    programs: ["wg", "ping", "ncat"],
  },
  async () => {
    await using network = await Network.create("one", "two", "client");
    const [one, two, client] = network.hosts;
    for (const [i, host] of [one, two].entries()) {
      await connect(
        { host, name: "eth0", addresses: [`192.0.${2 + i}.1/24`] },
        { host: client, name: `eth${i}`, addresses: [`192.0.${2 + i}.2/24`] },
      );
    }
    const [own, first, second] = [generateKeys(), generateKeys(), generateKeys()];
    const there = [[first, one, "10.1.0.1"], [second, two, "10.2.0.1"]] as const;
    for (const [keys, host, address] of there) {
      await write(
        host,
        `[Interface]\nPrivateKey = ${keys.privateKey}\nAddress = ${address}/32\nListenPort = 51820\n` +
          `[Peer]\nPublicKey = ${own.publicKey}\nAllowedIPs = 10.9.0.2/32\n`,
      );
      await quick(host, "up");
    }
    const head = `[Interface]\nPrivateKey = ${own.privateKey}\nAddress = 10.9.0.2/32\n`;
    const peer = (i: number, endpoint: string) =>
      `[Peer]\nPublicKey = ${there[i]![0].publicKey}\nAllowedIPs = ${
        there[i]![2]
      }/32\nEndpoint = ${endpoint}\n`;
    // No name server answers here, so lookups are not retried.
    const env = { WG_ENDPOINT_RESOLUTION_RETRIES: "0" };
    const up = () => client.run([...wgd, "quick", "up", FILE], { env });
    await client.sh(
      "echo > /run/lab/resolv; mount --bind /run/lab/resolv /etc/resolv.conf; echo > /run/lab/hosts",
    );
    await client.sh("mount --bind /run/lab/hosts /etc/hosts");

    await write(client, head + peer(1, `${NAME}:51820`));
    const alone = await up();
    equal(alone.code, 1, alone.stderr);
    match(
      alone.stderr,
      /vpn\.example:51820'\n.*Configuration parsing error\nhint: .*wg0\.conf:7: Endpoint: /,
    );

    await write(client, head + peer(1, `${NAME}:51820`) + peer(0, "192.0.2.1:51820"));
    const both = await up();
    equal(both.code, 0, both.stderr);
    match(
      both.stderr,
      /^Warning: .*vpn\.example:51820'\nhint: \S*wg0\.conf:7: Endpoint: .*; the other peers come up; /m,
    );
    // The file's address is also stored, for a peer that has roamed.
    equal(await names(client), `endpoint_name=${NAME}:51820,endpoint_name=192.0.2.1:51820`);
    await client.ok("ping", "-c", "1", "-W", "3", "10.1.0.1");
    equal((await client.run(["ping", "-c", "1", "-W", "1", "10.2.0.1"])).code, 1);
    await client.sh(`echo "192.0.3.1 ${NAME}" > /run/lab/hosts`);
    await eventually(
      "the other peer",
      async () => (await client.run(["ping", "-c", "1", "-W", "1", "10.2.0.1"])).code === 0,
      { within: 40_000, every: 500 },
    );
    // A reload of the same file changes nothing. One with another address sends the new one.
    equal(await quick(client, "reload"), "");
    await client.sh(`sed -i s/192.0.2.1:51820/192.0.2.1:51829/ ${FILE}`);
    match(await quick(client, "reload"), /\(changed: endpoint\)\n$/);
    equal(await names(client), `endpoint_name=${NAME}:51820,endpoint_name=192.0.2.1:51829`);
    await quick(client, "down");

    // A service that does not exist is an error, regardless of the rest of the file.
    await write(client, head + peer(1, `${NAME}:nosuchservice`) + peer(0, "192.0.2.1:51820"));
    equal((await up()).code, 1);
  },
);
