/**
 * Tunnels without an interface find a server that moves: `wgd proxy`, and a program's own tunnel.
 *
 * @module
 */

import { equal, match, notEqual } from "node:assert/strict";
import { eventually } from "./lab/exec.ts";
import type { Host } from "./lab/host.ts";
import { formatConfig, generateKeys, type Keys, type PeerConfig } from "./lab/keys.ts";
import { script, serve } from "./lab/named_server.ts";
import { connect, Network } from "./lab/network.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const wgd = wgdCommand();
const NAME = "vpn.example";
const FOLDER = "/run/lab";

/** Sets the address of the name, in a hosts file that only this host uses. */
async function setName(host: Host, address: string): Promise<void> {
  await host.sh(`
    echo "${address} ${NAME}" > ${FOLDER}/hosts
    mountpoint -q /etc/hosts || mount --bind ${FOLDER}/hosts /etc/hosts`);
}

/** A server whose clients have 10.0.0.2 and so on. */
async function serverFile(server: Host, keys: Keys, clients: readonly Keys[]): Promise<void> {
  await server.sh(`umask 077; cat > ${FOLDER}/wg0.conf`, {
    stdin: formatConfig({
      privateKey: keys.privateKey,
      listenPort: 51820,
      quick: ["Address = 10.0.0.1/24"],
      peers: clients.map(({ publicKey }, i) => ({ publicKey, allowedIps: [`10.0.0.${i + 2}/32`] })),
    }),
  });
}

async function clientFile(
  user: Host,
  name: string,
  number: number,
  { privateKey }: Keys,
  peers: readonly PeerConfig[],
  ...lines: string[]
): Promise<string> {
  const file = `${FOLDER}/${name}.conf`;
  await user.sh(`umask 077; cat > ${file}`, {
    stdin: formatConfig({
      privateKey,
      quick: [`Address = 10.0.0.${number + 2}/32`, ...lines],
      peers: [...peers],
    }),
  });
  return file;
}

const ask = async (user: Host, port: number) =>
  (await user.run(["curl", "--silent", "--max-time", "2", `http://127.0.0.1:${port}/`])).stdout;

await rootTest("a proxy and a program follow a server whose name moves, unless the file turns this off", {
  programs: ["curl"],
}, async () => {
  await using network = await Network.create("server", "user");
  const [server, user] = network.hosts;
  await connect(
    { host: server, name: "eth0", addresses: ["192.0.2.1/24"] },
    { host: user, name: "eth0", addresses: ["192.0.2.2/24"] },
  );
  await setName(user, "192.0.2.1");
  const theirs = generateKeys();
  const clients = [generateKeys(), generateKeys(), generateKeys()];
  await serverFile(server, theirs, clients);
  await server.ok(...wgd, "quick", "up", `${FOLDER}/wg0.conf`);
  await serve(server, "web_server.ts");
  const peer = { publicKey: theirs.publicKey, allowedIps: ["10.0.0.0/24"], endpoint: `${NAME}:51820` };
  const [follows, stays, program] = await Promise.all([
    clientFile(user, "follows", 0, clients[0]!, [peer]),
    clientFile(user, "stays", 1, clients[1]!, [peer], "# wgd: ResolveEndpoints = off"),
    clientFile(user, "program", 2, clients[2]!, [peer]),
  ]);
  await user.start([...wgd, "proxy", follows, "--forward", "1080=10.0.0.1:80"]);
  await user.start([...wgd, "proxy", stays, "--forward", "1081=10.0.0.1:80"]);
  const deno = [
    Deno.execPath(),
    "run",
    "--no-prompt",
    "--no-check",
    "--allow-net",
    `--allow-read=${program}`,
  ];
  const polling = await user.start([...deno, script("polling_program.ts"), program, "http://10.0.0.1/"]);
  const heard = () => polling.output().trimEnd().split("\n").at(-1)!;
  for (const [i, port] of [1080, 1081].entries()) {
    await eventually("a page", async () => await ask(user, port) === `hello 10.0.0.${i + 2}`, {
      within: 30_000,
    });
  }
  await eventually("the program", () => heard() === "hello 10.0.0.4", { within: 30_000 });

  await server.ok(...wgd, "quick", "down", `${FOLDER}/wg0.conf`);
  await server.sh("ip address flush dev eth0; ip address add 192.0.2.9/24 dev eth0");
  await server.ok(...wgd, "quick", "up", `${FOLDER}/wg0.conf`);
  await setName(user, "192.0.2.9");
  await eventually("the program to notice", () => heard() === "silence", { within: 30_000 });
  // 15 s until the silence is noticed, 10 s with two initiations unanswered, and the next goes to the new address.
  await eventually("the proxy", async () => await ask(user, 1080) === "hello 10.0.0.2", { within: 90_000 });
  await eventually("the program", () => heard() === "hello 10.0.0.4", { within: 90_000 });
  equal(await ask(user, 1081), "");
});

await rootTest("if a name cannot be looked up, a proxy runs without that peer", {
  programs: ["curl"],
}, async () => {
  await using network = await Network.create("here", "there", "user");
  const [here, there, user] = network.hosts;
  const servers = [generateKeys(), generateKeys()];
  const own = generateKeys();
  await user.sh(`echo > ${FOLDER}/resolv; mount --bind ${FOLDER}/resolv /etc/resolv.conf`);
  await setName(user, "# nothing");
  for (const [i, host] of [here, there].entries()) {
    await connect(
      { host, name: "eth0", addresses: [`192.0.${2 + i}.1/24`] },
      { host: user, name: `eth${i}`, addresses: [`192.0.${2 + i}.2/24`] },
    );
    await serverFile(host, servers[i]!, [own]);
    await host.ok(...wgd, "quick", "up", `${FOLDER}/wg0.conf`);
    await host.ok("ip", "address", "add", `10.0.1.${i + 1}/32`, "dev", "wg0");
    await serve(host, "web_server.ts");
  }
  const peer = (i: number, endpoint: string): PeerConfig => ({
    publicKey: servers[i]!.publicKey,
    allowedIps: [`10.0.1.${i + 1}/32`],
    endpoint,
  });
  const moved = peer(1, `${NAME}:51820`);
  const alone = await user.run([
    ...wgd,
    ...["proxy", await clientFile(user, "alone", 0, own, [moved]), "--socks5", "1080"],
  ]);
  equal(alone.code, 1);
  match(alone.stderr, /vpn\.example:51820'\nhint: \S*alone\.conf:\d+: Endpoint: /);

  const both = await clientFile(user, "both", 0, own, [peer(0, "192.0.2.1:51820"), moved]);
  const proxy = await user.start([
    ...[...wgd, "proxy", both, "--forward", "1081=10.0.1.1:80", "--forward", "1082=10.0.1.2:80"],
  ]);
  await eventually("the peer here", async () => await ask(user, 1081) === "hello 10.0.0.2", {
    within: 30_000,
  });
  match(
    proxy.output(),
    /^wgd: .*vpn\.example:51820'\nhint: \S*both\.conf:\d+: Endpoint: .*; the other peers come up/m,
  );
  notEqual(await ask(user, 1082), "hello 10.0.0.2");
  await setName(user, "192.0.3.1");
  await eventually("the peer there", async () => await ask(user, 1082) === "hello 10.0.0.2", {
    within: 60_000,
  });
});
