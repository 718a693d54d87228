/**
 * A server gets clients by `wgd peer add`, and what it writes for them works as it is.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { ServerPeer } from "../../core/peers/list.ts";
import { generateKeys } from "./lab/keys.ts";
import { connect, Network } from "./lab/network.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const wgd = wgdCommand();
const SERVER = `# my server
[Interface]
PrivateKey = ${generateKeys().privateKey}
Address = 10.0.0.1/24, fd00::1/64
ListenPort = 51820
`;
const PROGRAMS = ["wg", "ping"];
const FILE = "/etc/wireguard/wg0.conf";

async function server() {
  await using made = new AsyncDisposableStack();
  const network = made.use(await Network.create("server", "client"));
  const [server, client] = network.hosts;
  await connect(
    { host: server, name: "eth0", addresses: ["192.0.2.1/24"] },
    { host: client, name: "eth0", addresses: ["192.0.2.2/24"] },
  );
  await server.sh(`mkdir -p /etc/wireguard; mount -t tmpfs tmpfs /etc/wireguard; umask 027; cat > ${FILE}`, {
    stdin: SERVER,
  });
  const up = await server.run([...wgd, "quick", "up", "wg0"]);
  equal(up.code, 0, up.stderr);
  made.move();
  return { network, server, client };
}

const add = (...words: string[]) => [...wgd, "peer", "add", "wg0", ...words];

await rootTest(
  "a client that wgd peer add wrote comes up and reaches the server",
  { programs: PROGRAMS },
  async () => {
    const { network, server: host, client } = await server();
    await using _network = network;
    const output = ["--output", "/run/lab/anna.conf"];
    const allowed = ["--allowed-ips", "10.0.0.0/24, fd00::/64"];
    const added = await host.run(add("Anna", "--endpoint", "192.0.2.1", ...allowed, ...output));
    equal(added.code, 0, added.stderr);
    equal(added.stderr, "wgd: Anna is 10.0.0.2/32, fd00::2/128; its configuration: /run/lab/anna.conf\n");
    equal(added.stdout, "");
    equal((await host.sh("stat -c %a /run/lab/anna.conf")).trim(), "600");
    equal((await host.sh(`stat -c %a ${FILE}`)).trim(), "640", "the file keeps its mode");
    const text = await host.sh(`cat ${FILE}`);
    ok(text.startsWith(`${SERVER}\n# Name = Anna\n[Peer]\n`), "the rest of the file stays as it was");

    await client.sh("umask 077; cat > /run/lab/anna.conf", {
      stdin: await host.sh("cat /run/lab/anna.conf"),
    });
    const up = await client.run([...wgd, "quick", "up", "/run/lab/anna.conf"]);
    equal(up.code, 0, up.stderr);
    await client.ok("ping", "-c", "2", "-W", "5", "10.0.0.1");
    await client.ok("ping", "-c", "2", "-W", "5", "fd00::1");

    // The file alone gives the same peers when the interface comes up anew.
    const running = await host.sh("wg show wg0 allowed-ips; wg show wg0 preshared-keys");
    for (const way of ["down", "up"]) equal((await host.run([...wgd, "quick", way, "wg0"])).code, 0);
    equal(await host.sh("wg show wg0 allowed-ips; wg show wg0 preshared-keys"), running);
  },
);

await rootTest("peers added at once get different addresses", { programs: PROGRAMS }, async () => {
  const { network, server: host } = await server();
  await using _network = network;
  await host.sh(`sed -i '/ListenPort/a # wgd: Endpoint = vpn.example:51820' ${FILE}`);
  const names = ["a", "b", "c", "d"];
  const ended = await Promise.all(
    names.map((name) => host.run(add(name, "--output", `/run/lab/${name}.conf`))),
  );
  for (const { code, stderr } of ended) equal(code, 0, stderr);
  const addresses = [...(await host.sh("wg show wg0 allowed-ips")).matchAll(/10\.0\.0\.\d+/g)].map(String);
  equal(addresses.sort().join(), "10.0.0.2,10.0.0.3,10.0.0.4,10.0.0.5");
});

await rootTest("a name in any script names the client's file", { programs: PROGRAMS }, async () => {
  const { network, server: host } = await server();
  await using _network = network;
  await host.sh(`cd /run/lab; ${add("'Änn’s Téléphone'", "--endpoint", "vpn.example").join(" ")}`);
  match(await host.sh("cat '/run/lab/Änn’s Téléphone.conf'"), /^\[Interface\]\n/);
  match(await host.sh(`cat ${FILE}`), /^# Name = Änn’s Téléphone$/m);
});

await rootTest("wgd peer add that fails prints why and changes nothing", { programs: PROGRAMS }, async () => {
  const { network, server: host } = await server();
  await using _network = network;
  const refuse = async (pattern: RegExp, ...words: string[]) => {
    const { code, stderr } = await host.run(add("Anna", "--output", "/run/lab/anna.conf", ...words));
    equal(code, 1, stderr);
    match(stderr, pattern);
    equal(await host.sh(`cat ${FILE}`), SERVER);
    equal(await host.ok("wg", "show", "wg0", "peers"), "");
  };
  await refuse(/^wgd: the server's endpoint for clients is not known\nhint: use --endpoint /);
  await refuse(
    /^wgd: invalid address: "10\.0\.0\.300"\nhint: /,
    "--endpoint",
    "192.0.2.1",
    "--address",
    "10.0.0.300",
  );
  const named = async (name: string, pattern: RegExp) => {
    const { code, stderr } = await host.run(add(name, "--endpoint", "192.0.2.1"));
    equal(code, 1, stderr);
    match(stderr, pattern);
  };
  await named("a/b", /^wgd: "a\/b" cannot name a file; name the file: --output FILE\n/);
  await named("a\nb", /^wgd: invalid name for a peer: "a\nb"\nhint: use letters/);
  const address = (text: string) => ["--endpoint", "192.0.2.1", "--address", text];
  await refuse(/^wgd: 10\.0\.0\.1\/32 belongs to the server\nhint: /, ...address("10.0.0.1"));
  await refuse(/^wgd: 10\.0\.0\.0\/25 belongs to the server\nhint: /, ...address("10.0.0.0/25"));
  await host.sh("touch /run/lab/anna.conf");
  await refuse(/already exists\nhint: .*--output/, "--endpoint", "192.0.2.1");
  await host.sh("rm /run/lab/anna.conf; mount -o remount,ro /etc/wireguard");
  await refuse(/Read-only file system/, "--endpoint", "192.0.2.1");
  equal(
    (await host.run(["test", "-e", "/run/lab/anna.conf"])).code,
    1,
    "the client's file was removed again",
  );
});

await rootTest(
  "a peer is listed, shown and removed by its name or its key",
  { programs: PROGRAMS },
  async () => {
    const { network, server: host } = await server();
    await using _network = network;
    const peer = (...words: string[]) => host.run([...wgd, "peer", ...words]);
    const must = async (...words: string[]) => {
      const { code, stdout, stderr } = await peer(...words);
      equal(code, 0, stderr);
      return stdout;
    };
    for (const name of ["Anna", "Bert", "Carl"]) {
      await must("add", "wg0", name, "--endpoint", "192.0.2.1", "--output", `/run/lab/${name}.conf`);
    }
    match(
      (await peer("add", "wg0", "Dora", "--endpoint", "192.0.2.1", "--address", "10.0.0.3/32")).stderr,
      /belongs to another peer/,
    );
    match(
      (await peer("add", "wg0", "Dora", "--endpoint", "192.0.2.1", "--address", "10.0.0.2/31")).stderr,
      /belongs to another peer/,
    );
    await host.ok("wg", "set", "wg0", "peer", generateKeys().publicKey, "allowed-ips", "10.0.0.9/32");
    const { peers } = JSON.parse(await must("list", "wg0", "--json"));
    deepEqual(
      peers.map((
        { name, allowedIps: [first], inFile, running }: ServerPeer,
      ) => [name, first, inFile, running]),
      [["Anna", "10.0.0.2/32", true, true], ["Bert", "10.0.0.3/32", true, true], [
        "Carl",
        "10.0.0.4/32",
        true,
        true,
      ], [
        null,
        "10.0.0.9/32",
        false,
        true,
      ]],
    );
    match(
      await must("show", "wg0", "Bert"),
      /^Bert \S{44}\n +allowed ips +10\.0\.0\.3\/32, fd00::3\/128\n +endpoint +not known\n/,
    );
    equal(
      (await peer("remove", "wg0", "Bert")).stderr,
      `wgd: wg0 has no peer Bert any more (${peers[1].publicKey})\n`,
    );
    await must("remove", "wg0", peers[2].publicKey);
    await must("remove", "wg0", peers[3].publicKey);
    equal((await host.ok("wg", "show", "wg0", "peers")).trim(), peers[0].publicKey);
    const text = await host.sh(`cat ${FILE}`);
    ok(text.startsWith(`${SERVER}\n# Name = Anna\n[Peer]\n`) && !/Bert|Carl/.test(text), text);
    match(
      (await peer("remove", "wg0", "Bert")).stderr,
      /^wgd: wg0 has no peer named "Bert"\nhint: .*wgd peer list wg0/,
    );
    match((await peer("remove", "wg0", peers[2].publicKey)).stderr, /^wgd: wg0 has no peer /);
    await must("add", "wg0", "Emil", "--endpoint", "192.0.2.1", "--output", "/run/lab/Emil.conf");
    match(await must("show", "wg0", "Emil"), /10\.0\.0\.3\/32/, "Bert's address was free again");
  },
);

await rootTest(
  "a client that is removed from the file is removed by the next reload, and one of wg set stays",
  { programs: PROGRAMS },
  async () => {
    const { network, server: host } = await server();
    await using _network = network;
    const reload = async () => {
      const { code, stderr } = await host.run([...wgd, "quick", "reload", "wg0"]);
      equal(code, 0, stderr);
      return (await host.sh("wg show wg0 peers")).trim().split("\n").filter(Boolean);
    };
    const added = await host.run(add("Anna", "--endpoint", "192.0.2.1", "--output", "/run/lab/anna.conf"));
    equal(added.code, 0, added.stderr);
    const [anna] = (await host.sh("wg show wg0 peers")).trim().split("\n");
    deepEqual(await reload(), [anna]);
    equal(await host.ok(...wgd, "quick", "status", "wg0").then((text) => text.split("\n").length), 2);
    await host.sh(`cat > ${FILE}`, { stdin: SERVER });
    deepEqual(await reload(), [], "a peer that was in the file and no longer is gets removed");

    const bob = generateKeys().publicKey;
    await host.ok("wg", "set", "wg0", "peer", bob, "allowed-ips", "10.0.0.9/32", "persistent-keepalive", "7");
    deepEqual(await reload(), [bob], "a peer that was never in the file stays");
    await host.ok(...wgd, "quick", "save", "wg0");
    deepEqual(await reload(), [bob]);
    await host.sh(`sed -i /PersistentKeepalive/d ${FILE}`);
    deepEqual(await reload(), [bob]);
    equal(await host.sh("wg show wg0 persistent-keepalive"), `${bob}\toff\n`);
    await host.sh(`sed -i '/\\[Peer\\]/,$d' ${FILE}`);
    deepEqual(await reload(), [], "a peer that was in the saved file and no longer is gets removed");
    await host.ok(...wgd, "quick", "down", "wg0");
  },
);

await rootTest("a client that cannot be added leaves no trace", { programs: PROGRAMS }, async () => {
  const { network, server: host } = await server();
  await using _network = network;
  const record = () => host.sh("cat /run/wgd/wg0@*.json");
  const before = await record();
  await host.sh("chattr +i /etc/wireguard/wg0.conf 2>/dev/null || mount -o remount,ro /etc/wireguard");
  const added = await host.run(add("Anna", "--endpoint", "192.0.2.1", "--output", "/run/lab/anna.conf"));
  equal(added.code, 1, added.stderr);
  equal(await host.sh("wg show wg0 peers"), "");
  equal(await record(), before);
});
