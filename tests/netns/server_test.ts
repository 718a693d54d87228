/**
 * A VPN server as introductions to WireGuard build one: forwarding, and two lines of iptables in its file. Clients
 * reach the host behind it and each other. When it goes down, none of the rules is left.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { eventually } from "./lab/exec.ts";
import type { Host } from "./lab/host.ts";
import {
  type Config,
  formatConfig,
  generateKeys,
  generatePresharedKey,
  type PeerConfig,
} from "./lab/keys.ts";
import { connect, Network } from "./lab/network.ts";
import { rootTest } from "./lab/rooted.ts";
import { ping } from "./lab/traffic.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const wgd = wgdCommand();
const PROGRAMS = ["wg", "ping", "iptables", "nft", "ncat"];

/** To the letter what every introduction has, for IPv4. */
const IPTABLES = [
  "PostUp = iptables -A FORWARD -i %i -j ACCEPT; iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE",
  "PostDown = iptables -D FORWARD -i %i -j ACCEPT; iptables -t nat -D POSTROUTING -o eth0 -j MASQUERADE",
];
const IP6TABLES = IPTABLES.map((line) => line.replaceAll("iptables", "ip6tables"));
const NFT = [
  "PostUp = nft 'add table inet vpn-%i; add chain inet vpn-%i nat { type nat hook postrouting priority 100; }; add rule inet vpn-%i nat oifname eth0 masquerade'",
  "PostDown = nft delete table inet vpn-%i",
];

/** The addresses of all hosts, outside and inside the tunnel. */
const SITE = { 4: "198.51.100.2", 6: "fd51::2" };
const SERVER = {
  behind: { 4: "198.51.100.1", 6: "fd51::1" },
  inside: { 4: "10.113.0.254", 6: "fd13::254" },
};
const CLIENTS = {
  foo: { outside: "10.1.1", inside: { 4: "10.113.0.1", 6: "fd13::1" } },
  bar: { outside: "10.1.2", inside: { 4: "10.113.0.2", 6: "fd13::2" } },
};
type Client = keyof typeof CLIENTS;

const NETWORKS = ["10.113.0.0/16", "fd13::/64", "198.51.100.0/24", "fd51::/64"];

/** A server between two clients and a site that only has a route to the server. */
class Scene {
  readonly #keys = { server: generateKeys(), foo: generateKeys(), bar: generateKeys() };
  readonly #presharedKey = generatePresharedKey();

  private constructor(
    readonly network: Network,
    readonly server: Host,
    readonly foo: Host,
    readonly bar: Host,
    readonly site: Host,
  ) {}

  static async create(): Promise<Scene> {
    await using made = new AsyncDisposableStack();
    const network = made.use(await Network.create("server", "foo", "bar", "site"));
    const [server, foo, bar, site] = network.hosts;
    const scene = new Scene(network, server, foo, bar, site);
    const behind = (end: { 4: string; 6: string }) => [`${end[4]}/24`, `${end[6]}/64`];
    await connect(
      { host: server, name: "eth0", addresses: behind(SERVER.behind) },
      { host: site, name: "eth0", addresses: behind(SITE) },
    );
    for (const name of ["foo", "bar"] as const) {
      const { outside } = CLIENTS[name];
      await connect(
        { host: server, name: `to-${name}`, addresses: [`${outside}.1/24`] },
        { host: scene[name], name: "eth0", addresses: [`${outside}.2/24`] },
      );
    }
    for (const host of [server, foo, bar]) {
      await host.sh("mkdir -p /etc/wireguard; mount -t tmpfs -o mode=700 tmpfs /etc/wireguard");
    }
    // It reports who has connected, which is the purpose of this host.
    await site.start(["ncat", "-l", "-k", "8080", "--sh-exec", "echo $NCAT_REMOTE_ADDR"]);
    await eventually("the site to listen", () => site.ok("sh", "-c", "ss -ltn | grep :8080"));
    made.move();
    return scene;
  }

  /** Writes the server's file, with lines of its own, and brings it up. */
  async serve(hooks: readonly string[]): Promise<void> {
    const client = (name: Client): PeerConfig => ({
      publicKey: this.#keys[name].publicKey,
      presharedKey: name === "foo" ? this.#presharedKey : undefined,
      allowedIps: [`${CLIENTS[name].inside[4]}/32`, `${CLIENTS[name].inside[6]}/128`],
    });
    await this.#up(this.server, {
      privateKey: this.#keys.server.privateKey,
      listenPort: 51820,
      quick: [`Address = ${SERVER.inside[4]}/16, ${SERVER.inside[6]}/64`, ...hooks],
      peers: [client("foo"), client("bar")],
    });
  }

  /** Writes a client's file and brings it up. */
  async join(name: Client, allowedIps: readonly string[]): Promise<void> {
    const { outside, inside } = CLIENTS[name];
    await this.#up(this[name], {
      privateKey: this.#keys[name].privateKey,
      quick: [`Address = ${inside[4]}/16, ${inside[6]}/64`],
      peers: [{
        publicKey: this.#keys.server.publicKey,
        presharedKey: name === "foo" ? this.#presharedKey : undefined,
        allowedIps,
        endpoint: `${outside}.1:51820`,
        persistentKeepalive: 25,
      }],
    });
  }

  async #up(host: Host, config: Config): Promise<void> {
    await host.sh("umask 077; cat > /etc/wireguard/wg0.conf", { stdin: formatConfig(config) });
    await quick(host, "up");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.network[Symbol.asyncDispose]();
  }
}

async function quick(host: Host, way: "up" | "down"): Promise<void> {
  const { code, stderr } = await host.run([...wgd, "quick", way, "wg0"]);
  equal(code, 0, stderr);
}

/** Forwarding is the server's own affair: the talk's line, and its twin for IPv6. */
async function forward(server: Host): Promise<void> {
  await server.ok("sysctl", "net.ipv4.ip_forward=1");
  await server.ok("sysctl", "net.ipv6.conf.all.forwarding=1");
}

/** The client's address as the site sees it. */
async function seenAs(host: Host, site: string): Promise<string> {
  const { stdout, stderr } = await host.run(["ncat", "--recv-only", "-w", "3", site, "8080"]);
  return stdout.trim() || stderr.trim();
}

/** Every rule of iptables, and every table of nft that iptables did not make: it leaves its own behind, empty. */
async function rules(host: Host): Promise<string> {
  const iptables = await host.sh(
    "for program in iptables ip6tables; do for table in filter nat; do $program -t $table -S; done; done",
  );
  const tables = await host.ok("nft", "list", "tables");
  return iptables + tables.replace(/^table ip6? (filter|nat)\n/gm, "");
}

await rootTest("clients reach the host behind a server with the usual PostUp and PostDown, as the server", {
  programs: PROGRAMS,
}, async () => {
  await using scene = await Scene.create();
  const { server, foo, bar } = scene;
  await forward(server);
  const before = await rules(server);
  await scene.serve([...IPTABLES, ...IP6TABLES]);
  match(await rules(server), /-A FORWARD -i wg0 -j ACCEPT[^]*-A POSTROUTING -o eth0 -j MASQUERADE/);
  await scene.join("foo", NETWORKS);
  await scene.join("bar", NETWORKS);

  for (const host of [foo, bar]) {
    equal(await seenAs(host, SITE[4]), SERVER.behind[4]);
    equal(await seenAs(host, SITE[6]), SERVER.behind[6]);
  }
  for (const family of [4, 6] as const) {
    const { inside } = CLIENTS.bar;
    equal((await ping(foo, inside[family], { count: 3 })).answered, 3, "foo reaches bar through the server");
  }

  await quick(server, "down");
  equal(await rules(server), before);
  match(await seenAs(foo, SITE[4]), /TIMEOUT|timed out|Unreachable|unreachable/i);
});

await rootTest("without the two lines, a client cannot reach the host behind the server", {
  programs: PROGRAMS,
}, async () => {
  await using scene = await Scene.create();
  await forward(scene.server);
  await scene.serve([]);
  await scene.join("foo", NETWORKS);
  equal((await ping(scene.foo, SERVER.inside[4], { count: 1 })).answered, 1);
  match(await seenAs(scene.foo, SITE[4]), /TIMEOUT|timed out/i);
});

await rootTest("the same with nft, in a table that is deleted when the server goes down", {
  programs: PROGRAMS,
}, async () => {
  await using scene = await Scene.create();
  await forward(scene.server);
  const before = await rules(scene.server);
  await scene.serve(NFT);
  match(await rules(scene.server), /^table inet vpn-wg0$/m);
  await scene.join("foo", NETWORKS);
  equal(await seenAs(scene.foo, SITE[4]), SERVER.behind[4]);
  equal(await seenAs(scene.foo, SITE[6]), SERVER.behind[6]);
  await quick(scene.server, "down");
  equal(await rules(scene.server), before);
});

await rootTest("a client that sends everything into the tunnel reaches what it has no other route to", {
  programs: PROGRAMS,
}, async () => {
  await using scene = await Scene.create();
  const { server, foo } = scene;
  await forward(server);
  await scene.serve([...IPTABLES, ...IP6TABLES]);
  match(await seenAs(foo, SITE[4]), /unreachable/i);
  await scene.join("foo", ["0.0.0.0/0", "::/0"]);
  equal(await seenAs(foo, SITE[4]), SERVER.behind[4]);
  equal(await seenAs(foo, SITE[6]), SERVER.behind[6]);
  match(await foo.ok("ip", "route", "get", SITE[4]), / dev wg0 /);
  const sent = Number((await foo.ok("wg", "show", "wg0", "transfer")).split("\t")[2]);
  ok(sent > 0);
  await quick(foo, "down");
  match(await seenAs(foo, SITE[4]), /unreachable/i);
  deepEqual((await foo.ok("ip", "rule")).match(/suppress_prefixlength/g), null);
});
