/**
 * `wgd quick` beside Debian's wg-quick: the same file on two hosts that differ in nothing else leaves the same system.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { Host } from "./lab/host.ts";
import { generateKeys } from "./lab/keys.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const wgd = wgdCommand();
const built = wgd.length === 1 ? wgd[0] : undefined;
const PROGRAMS = ["wg", "wg-quick", "nft"];

/** A host with a way out, as clients have one. */
async function client(): Promise<Host> {
  const host = await Host.create("client");
  await host.sh(`
    ip link add eth0 type veth peer name far
    ip address add 192.0.2.2/24 dev eth0; ip link set eth0 up; ip link set far up
    ip route add default via 192.0.2.1
    mkdir -p /run/lab/etc`);
  return host;
}

/** Everything that wg-quick changes. */
async function state(host: Host): Promise<Record<string, string>> {
  const text = async (script: string) => (await host.sh(script)).replace(/ +$/gm, "");
  return {
    links: await text("ip -o link show | sed -E 's/^[0-9]+: //; s/link.ether.*//; s/@[^:]*//' | sort"),
    addresses: await text(
      "ip -o address show | sed -E 's/^[0-9]+: //; s/valid_lft.*//' | grep -v fe80 | sort",
    ),
    rules: await text("ip -4 rule show; ip -6 rule show"),
    routes: await text("ip -4 route show table all; ip -6 route show table all | grep -v 'fe80\\|ff00'"),
    firewall: await text("nft list ruleset"),
    mark: await text("cat /proc/sys/net/ipv4/conf/all/src_valid_mark"),
    wireguard: await text("wg show all dump | cut -f1,3- | sed -E 's/\\t[0-9]{4,5}\\t/\\tPORT\\t/'"),
  };
}

const [us, server] = [generateKeys(), generateKeys()];
const interfaceLines = `[Interface]\nPrivateKey = ${us.privateKey}\n`;
const peerLines = `[Peer]\nPublicKey = ${server.publicKey}\nEndpoint = 192.0.2.1:51820\n`;

const FILES: Record<string, string> = {
  "a client of one network":
    `${interfaceLines}Address = 10.0.0.2/24, fd00::2/64\n${peerLines}AllowedIPs = 10.0.0.0/24, fd00::/64, 10.7.0.0/16\nPersistentKeepalive = 25\n`,
  "host addresses, and routes inside each other":
    `${interfaceLines}Address = 10.0.0.2\nAddress = fd00::2/128\n${peerLines}AllowedIPs = 10.0.0.0/8, 10.1.0.0/16, fd00::/16, fd00:1::/32\n`,
  "everything goes into the tunnel":
    `${interfaceLines}Address = 10.0.0.2/32, fd00::2/128\n${peerLines}AllowedIPs = 0.0.0.0/0, ::/0\n`,
  "everything over IPv4, with a mark of its own":
    `${interfaceLines}Address = 10.0.0.2/24\nFwMark = 0x4d2\n${peerLines}AllowedIPs = 0.0.0.0/0\n`,
  "a table of its own":
    `${interfaceLines}Address = 10.0.0.2/24\nTable = 1234\n${peerLines}AllowedIPs = 0.0.0.0/0, 10.9.0.0/16\n`,
  "no routes": `${interfaceLines}Address = 10.0.0.2/24\nTable = off\n${peerLines}AllowedIPs = 0.0.0.0/0\n`,
  "an MTU of its own, and hooks":
    `${interfaceLines}Address = 10.0.0.2/24\nMTU = 1300\nPreUp = ip route add 198.51.100.0/24 dev eth0\nPostUp = ip link set %i txqueuelen 77; true # done\nPostDown = ip route del 198.51.100.0/24 dev eth0\n${peerLines}AllowedIPs = 10.0.0.0/24\n`,
  "a server":
    `${interfaceLines}Address = 10.0.0.1/24\nListenPort = 51820\n\n[Peer]\n# foo\nPublicKey = ${server.publicKey}\nAllowedIPs = 10.0.0.7/32, 10.3.0.0/24\n`,
};

for (const [name, text] of Object.entries(FILES)) {
  await rootTest(`wgd quick leaves what wg-quick leaves: ${name}`, { programs: PROGRAMS }, async () => {
    await using ours = await client();
    await using theirs = await client();
    const before = await state(ours);
    deepEqual(await state(theirs), before);
    const file = "/run/lab/etc/tun.conf";
    for (const host of [ours, theirs]) await host.sh(`umask 077; cat > ${file}`, { stdin: text });
    // One word: wg-quick cannot pass arguments on.
    await theirs.sh(`cat > /run/lab/wgd; chmod 755 /run/lab/wgd`, {
      stdin: `#!/bin/sh\nexec ${wgd.join(" ")} run "$1"\n`,
    });
    const original = { env: { WG_QUICK_USERSPACE_IMPLEMENTATION: built ?? "/run/lab/wgd" } };

    const up = await ours.run([...wgd, "quick", "up", file]);
    equal(up.code, 0, up.stderr);
    const theirUp = await theirs.run(["wg-quick", "up", file], original);
    equal(theirUp.code, 0, theirUp.stderr);
    deepEqual(await state(ours), await state(theirs));

    const down = await ours.run([...wgd, "quick", "down", file]);
    equal(down.code, 0, down.stderr);
    const theirDown = await theirs.run(["wg-quick", "down", file], original);
    equal(theirDown.code, 0, theirDown.stderr);
    deepEqual(await state(ours), await state(theirs));
    const marked = (text: Record<string, string>) => ({ ...text, mark: "" });
    deepEqual(
      marked(await state(ours)),
      marked(before),
      "nothing is left but the sysctl, as with the original",
    );
  });
}

/** What `quick up` says of a file that cannot work; nothing may be left of it. */
async function refusal(host: Host, text: string): Promise<string> {
  const before = await state(host);
  await host.sh("umask 077; cat > /run/lab/etc/bad.conf", { stdin: text });
  const { code, stderr } = await host.run([...wgd, "quick", "up", "/run/lab/etc/bad.conf"]);
  equal(code, 1, stderr);
  deepEqual(await state(host), before);
  equal(await host.sh("ls /run/wireguard 2>/dev/null || true"), "");
  ok(!/\bat \S+:\d+:\d+/.test(stderr), stderr);
  return stderr;
}

await rootTest("what cannot be brought up says where and why, and leaves nothing behind", {
  programs: PROGRAMS,
}, async () => {
  await using host = await client();
  match(
    await refusal(host, "[Interface]\nPrivateKey = abc\n"),
    /^Key is not the correct length or format: `abc'\n[\s\S]*hint: \/run\/lab\/etc\/bad\.conf:2: PrivateKey: /m,
  );
  match(
    await refusal(host, `${interfaceLines}Adress = 10.0.0.1/24\n`),
    /Line unrecognized: `Adress=10\.0\.0\.1\/24'[\s\S]*bad\.conf:3: .*Address/,
  );
  match(await refusal(host, `${interfaceLines}Address = 10.0.0.300/24\n`), /bad\.conf:3: Address: /);
  match(await refusal(host, `${interfaceLines}PostUp = exit 3\n`.replace("exit 3", "false")), /\[#\] false/);
  await host.start(["ncat", "-u", "-l", "192.0.2.2", "4444"]);
  await host.sh("for i in 1 2 3 4 5 6 7 8 9; do ss -lun | grep -q :4444 && exit 0; sleep 0.1; done; exit 1");
  match(
    await refusal(host, `${interfaceLines}ListenPort = 4444\n`),
    /Address already in use\nhint: \/run\/lab\/etc\/bad\.conf:3: ListenPort: .*ss -lunp/,
  );
  await host.sh("ip link add bad type veth peer name dab");
  const { code, stderr } = await host.run([...wgd, "quick", "up", "/run/lab/etc/bad.conf"]);
  equal(code, 1);
  match(stderr, /`bad' already exists/);
  match(
    (await host.run([...wgd, "quick", "down", "/run/lab/etc/bad.conf"])).stderr,
    /`bad' is not a WireGuard interface/,
  );
  match(
    (await host.run([...wgd, "quick", "up", "nothere"])).stderr,
    /`\/etc\/wireguard\/nothere\.conf' does not exist/,
  );
});
