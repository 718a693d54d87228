/**
 * Two hosts on this machine, a tunnel between them, and what can be seen of it. Everything happens in network namespaces
 * that are taken down again.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { formatKey, generatePresharedKey, generatePrivateKey, publicKey } from "../mod.ts";
import { ensurePrograms } from "../tests/netns/peers/apt.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const wgd = `${root}dist/wgd`;
const id = Deno.pid;
/** Namespaces; names carry our process id, so that two demonstrations do not meet. */
const hosts = { server: `wgd-server-${id}`, client: `wgd-client-${id}` };
/** Control sockets are per machine, not per namespace: where these names are taken, ours get a number. */
const taken = ["server", "client"].some((name) => existsSync(`/var/run/wireguard/${name}.sock`));
const names = taken ? { server: `srv${id}`, client: `cli${id}` } : { server: "server", client: "client" };

function say(text: string): void {
  console.log(text);
}

function chapter(text: string): void {
  console.log(`\n${text}`);
}

/** Runs a program and returns what it prints; stops the demonstration if it fails. */
function run(command: string[], { show = false, input }: { show?: boolean; input?: string } = {}): string {
  const [program, ...args] = command;
  const { status, stdout, stderr } = spawnSync(program!, args, { encoding: "utf8", input: input ?? "" });
  if (show) {
    for (const line of `${stdout}${stderr}`.trimEnd().split("\n")) say(`    ${line}`);
  }
  if (status !== 0) throw new Error(`"${command.join(" ")}" failed: ${stderr || stdout}`);
  return stdout;
}

function on(host: keyof typeof hosts, ...command: string[]): string[] {
  return ["ip", "netns", "exec", hosts[host], ...command];
}

async function main(): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "wgd-demo-" });
  const server = `${folder}/${names.server}.conf`, client = `${folder}/${names.client}.conf`;
  try {
    chapter("1. Two hosts, server 192.0.2.1 and client 192.0.2.2, with a cable between them");
    for (const host of Object.values(hosts)) run(["ip", "netns", "add", host]);
    run([
      "ip",
      "link",
      "add",
      "cable",
      "netns",
      hosts.server,
      "type",
      "veth",
      "peer",
      "cable",
      "netns",
      hosts.client,
    ]);
    for (const [host, address] of [["server", "192.0.2.1/24"], ["client", "192.0.2.2/24"]] as const) {
      run(on(host, "ip", "link", "set", "lo", "up"));
      run(on(host, "ip", "address", "add", address, "dev", "cable"));
      run(on(host, "ip", "link", "set", "cable", "up"));
    }

    chapter(`2. A configuration for each: ${names.server}.conf and, as follows, ${names.client}.conf`);
    const secrets = {
      server: generatePrivateKey(),
      client: generatePrivateKey(),
      shared: generatePresharedKey(),
    };
    const texts = {
      server: `[Interface]
Address = 10.0.0.1/24, fd00::1/64
ListenPort = 51820
PrivateKey = ${formatKey(secrets.server)}

[Peer]
PublicKey = ${formatKey(publicKey(secrets.client))}
PresharedKey = ${formatKey(secrets.shared)}
AllowedIPs = 10.0.0.2/32, fd00::2/128
`,
      client: `[Interface]
Address = 10.0.0.2/24, fd00::2/64
PrivateKey = ${formatKey(secrets.client)}

[Peer]
PublicKey = ${formatKey(publicKey(secrets.server))}
PresharedKey = ${formatKey(secrets.shared)}
Endpoint = 192.0.2.1:51820
AllowedIPs = 10.0.0.0/24, fd00::/64
PersistentKeepalive = 25
`,
    };
    await Deno.writeTextFile(server, texts.server, { mode: 0o600 });
    await Deno.writeTextFile(client, texts.client, { mode: 0o600 });
    for (const line of texts.client.trimEnd().split("\n")) {
      say(`    ${line.replace(/^(PrivateKey|PresharedKey) = .*/, "$1 = (hidden)")}`);
    }

    chapter("3. wgd quick up, on both");
    run(on("server", wgd, "quick", "up", server), { show: true });
    run(on("client", wgd, "quick", "up", client), { show: true });

    chapter("4. A ping through the tunnel, over IPv4 and IPv6; the first one makes the handshake");
    for (const address of ["10.0.0.1", "fd00::1"]) {
      const text = run(on("client", "ping", "-c", "3", "-i", "0.2", "-W", "2", address));
      for (const line of text.split("\n").filter((line) => /bytes from|packets/.test(line))) {
        say(`    ${line}`);
      }
    }

    chapter("5. What wgd show tells on the client");
    run(on("client", wgd, "show", names.client), { show: true });

    chapter(
      "6. How fast: TCP through the tunnel for three seconds (both ends and the traffic share this machine)",
    );
    run(on("server", "iperf3", "--server", "--one-off", "--daemon"));
    const report = JSON.parse(
      run(
        on("client", "iperf3", "--client", "10.0.0.1", "--time", "3", "--json", "--connect-timeout", "2000"),
      ),
    );
    const gigabits = report.end.sum_received.bits_per_second / 1e9;
    say(`    ${gigabits.toFixed(2)} Gbit/s, ${report.end.sum_sent.retransmits} segments sent again`);

    chapter("7. wgd quick down, on both");
    run(on("client", wgd, "quick", "down", client), { show: true });
    run(on("server", wgd, "quick", "down", server), { show: true });
    chapter("Done: the interfaces, their processes and the hosts are gone again.");
  } finally {
    // Deleting an interface ends its process, so this cleans up after a failure too.
    for (const [host, name] of [["server", names.server], ["client", names.client]] as const) {
      spawnSync("ip", ["-n", hosts[host], "link", "delete", "dev", name], { stdio: "ignore" });
      spawnSync("ip", ["netns", "delete", hosts[host]], { stdio: "ignore" });
    }
    await Deno.remove(folder, { recursive: true });
  }
}

/** Why namespaces cannot be made here, or undefined. */
async function whyNot(): Promise<string | undefined> {
  if (Deno.uid() === 0) return undefined;
  const { success } = await new Deno.Command("unshare", { args: ["-Urn", "true"], stderr: "null" }).output()
    .catch(() => ({ success: false }));
  return success
    ? `this needs root, to make network namespaces. Either of these will do:
  sudo npx -y deno task demo
  unshare -Urnm sh -c 'mount -t tmpfs none /run && npx -y deno task demo'`
    : "this needs root, to make network namespaces: sudo npx -y deno task demo";
}

const reason = await whyNot();
if (reason) {
  console.error(`demo: ${reason}`);
  Deno.exit(1);
}
await ensurePrograms("ip", "ping", "iperf3");
if (!await Deno.stat(wgd).then(() => true, () => false)) {
  say("Building dist/wgd (about ten seconds)");
  run([Deno.execPath(), "run", "--allow-all", "--quiet", `${root}scripts/compile.ts`]);
}
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => {
    for (const host of Object.values(hosts)) spawnSync("ip", ["netns", "delete", host], { stdio: "ignore" });
    Deno.exit(130);
  });
}
try {
  await main();
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : error}`);
  Deno.exit(1);
}
Deno.exit(0);
