/**
 * Shows two hosts on this machine with a tunnel between them. The hosts are namespaces that end with this process, so
 * nothing is left of them.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { formatKey, generatePresharedKey, generatePrivateKey, publicKey } from "../mod.ts";
import { CommandError, must, run } from "../tests/netns/lab/exec.ts";
import type { Host } from "../tests/netns/lab/host.ts";
import { connect, Network } from "../tests/netns/lab/network.ts";
import { ensurePrograms, PeerUnavailable } from "../tests/netns/peers/mod.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const wgd = `${root}dist/wgd`;

function say(text: string): void {
  for (const line of text.trimEnd().split("\n")) console.log(`    ${line}`);
}

function chapter(text: string): void {
  console.log(`\n${text}`);
}

/** Runs a command on a host, which must succeed, and shows its output. */
async function show(host: Host, ...command: string[]): Promise<void> {
  const finished = await host.run(command);
  say(finished.stdout + finished.stderr);
  if (finished.code !== 0) throw new CommandError(command, finished);
}

async function main(): Promise<void> {
  chapter("1. Two hosts, server 192.0.2.1 and client 192.0.2.2, with a cable between them");
  await using network = await Network.create("server", "client");
  const [server, client] = network.hosts;
  await connect(
    { host: server, name: "cable", addresses: ["192.0.2.1/24"] },
    { host: client, name: "cable", addresses: ["192.0.2.2/24"] },
  );

  chapter("2. A configuration for each: server.conf and, as follows, client.conf");
  const keys = { server: generatePrivateKey(), client: generatePrivateKey() };
  const presharedKey = formatKey(generatePresharedKey());
  const texts = {
    server: `[Interface]
Address = 10.0.0.1/24, fd00::1/64
ListenPort = 51820
PrivateKey = ${formatKey(keys.server)}

[Peer]
PublicKey = ${formatKey(publicKey(keys.client))}
PresharedKey = ${presharedKey}
AllowedIPs = 10.0.0.2/32, fd00::2/128
`,
    client: `[Interface]
Address = 10.0.0.2/24, fd00::2/64
PrivateKey = ${formatKey(keys.client)}

[Peer]
PublicKey = ${formatKey(publicKey(keys.server))}
PresharedKey = ${presharedKey}
Endpoint = 192.0.2.1:51820
AllowedIPs = 10.0.0.0/24, fd00::/64
PersistentKeepalive = 25
`,
  };
  say(texts.client.replace(/^(PrivateKey|PresharedKey) = .*/gm, "$1 = (hidden)"));

  chapter("3. wgd quick up, on both");
  const files = { server: `${server.scratch}/server.conf`, client: `${client.scratch}/client.conf` };
  for (const host of [server, client]) {
    const name = host.name as keyof typeof files;
    await host.sh(`umask 077; cat > ${files[name]}`, { stdin: texts[name] });
    await show(host, wgd, "quick", "up", files[name]);
  }

  chapter("4. A ping through the tunnel, over IPv4 and IPv6; the first one makes the handshake");
  for (const address of ["10.0.0.1", "fd00::1"]) {
    const text = await client.ok("ping", "-c", "3", "-i", "0.2", "-W", "2", address);
    say(text.split("\n").filter((line) => /bytes from|packets/.test(line)).join("\n"));
  }

  chapter("5. What wgd show tells on the client");
  await show(client, wgd, "show");

  chapter(
    "6. How fast: TCP through the tunnel for three seconds (both ends and the traffic share this machine)",
  );
  await server.ok("iperf3", "--server", "--one-off", "--daemon");
  const words = ["--client", "10.0.0.1", "--time", "3", "--json", "--connect-timeout", "2000"];
  const { end } = JSON.parse(await client.ok("iperf3", ...words)) as {
    end: { sum_received: { bits_per_second: number }; sum_sent: { retransmits: number } };
  };
  const gigabits = end.sum_received.bits_per_second / 1e9;
  say(`${gigabits.toFixed(2)} Gbit/s, ${end.sum_sent.retransmits} segments sent again`);

  chapter("7. wgd quick down, on both");
  await show(client, wgd, "quick", "down", files.client);
  await show(server, wgd, "quick", "down", files.server);
  chapter("Done: the interfaces, their processes and the hosts are gone again.");
}

/** Why the demo cannot run here, with the fix; undefined if it can. */
async function whyNot(): Promise<string | undefined> {
  if (Deno.uid() !== 0) {
    const need = "this needs root, to make network namespaces";
    const { code } = await run(["unshare", "-Urnm", "true"]).catch(() => ({ code: 1 }));
    // A user namespace makes us root for its own interfaces, but not for the device file.
    const rootless = code === 0 && await canOpen("/dev/net/tun");
    return rootless
      ? `${need}. Either of these will do:\n  sudo npx -y deno task demo\n  unshare -Urnm npx -y deno task demo`
      : `${need}: sudo npx -y deno task demo`;
  }
  if (!existsSync("/dev/net/tun")) return "no /dev/net/tun: modprobe tun; in a container, pass the device on";
  return undefined;
}

async function canOpen(path: string): Promise<boolean> {
  try {
    (await Deno.open(path, { read: true, write: true })).close();
    return true;
  } catch {
    return false;
  }
}

try {
  const reason = await whyNot();
  if (reason) throw new PeerUnavailable(reason);
  await ensurePrograms("bash", "ip", "iperf3", "ping", "unshare");
  if (!existsSync(wgd)) {
    console.log("Building dist/wgd (about ten seconds)");
    await must([Deno.execPath(), "run", "--allow-all", "--quiet", `${root}scripts/compile.ts`], {
      timeout: 600_000,
    });
  }
  await main();
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : error}`);
  Deno.exitCode = 1;
}
