/**
 * Parts of a tunnel that other programs remove: `status` names them, `doctor` fails if packets leave in the clear, and
 * `reload` restores them.
 *
 * @module
 */

import { deepEqual, doesNotMatch, equal, match } from "node:assert/strict";
import { Host } from "./lab/host.ts";
import { generateKeys } from "./lab/keys.ts";
import { rootTest } from "./lab/rooted.ts";
import { systemState } from "./lab/system_state.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const wgd = wgdCommand();
const PROGRAMS = ["wg", "nft"];
const FILE = "/run/lab/c.conf";
const [us, them] = [generateKeys(), generateKeys()];
const head = `[Interface]\nPrivateKey = ${us.privateKey}\nAddress = 10.7.0.2/24, fd07::2/64\n`;
const peer = (allowedIps: string) =>
  `[Peer]\nPublicKey = ${them.publicKey}\nEndpoint = 192.0.2.1:51820\nAllowedIPs = ${allowedIps}\n`;
const FULL = `${head}DNS = 10.7.0.1\n${peer("0.0.0.0/0, ::/0")}`;
const SPLIT = `${head}${peer("10.7.0.0/24, fd07::/64, 10.8.0.0/16, fd08::/64")}`;

async function client(text: string): Promise<Host> {
  const host = await Host.create("client");
  await host.ownEtc("nameserver 192.0.2.53\n");
  await host.sh(
    `
    ip link add eth0 type veth peer name far
    ip address add 192.0.2.2/24 dev eth0; ip link set eth0 up; ip link set far up
    ip route add default via 192.0.2.1
    umask 077; cat > ${FILE}`,
    { stdin: text },
  );
  const up = await host.run([...wgd, "quick", "up", FILE]);
  equal(up.code, 0, up.stderr);
  return host;
}

/** All that may differ; what only counts up, or depends on when it was made, is left out. */
async function comparable(host: Host): Promise<Record<string, unknown>> {
  const { rules, wireguard: _, firewall, routes, ...rest } = await systemState(host);
  return {
    ...rest,
    firewall: firewall!.replace(/handle \d+/g, ""),
    rules: rules!.replace(/^\d+/gm, "").split("\n").sort(),
    routes: routes!.split("\n").sort(),
    order: (await host.sh("ip -4 rule show; ip -6 rule show")).match(/suppress_prefixlength|fwmark/g),
    peers: await host.sh(
      "wg show c allowed-ips; wg show c peers; wg show c fwmark; wg show c persistent-keepalive",
    ),
    resolver: await host.sh("cat /etc/resolv.conf"),
  };
}

const CASES: readonly (readonly [
  what: string,
  file: string,
  script: string,
  status: RegExp,
  /** The output of doctor. */
  doctor?: RegExp,
])[] = [
  [
    "both rules of IPv4",
    FULL,
    "ip rule delete not fwmark 51820 table 51820; ip rule delete table main suppress_prefixlength 0",
    /the IPv4 rule that leads into the tunnel is gone/,
    /^fail +the IPv4 rule that leads into the tunnel is gone.*without the tunnel/m,
  ],
  [
    "the rule that leads into the tunnel",
    FULL,
    "ip -6 rule delete not fwmark 51820 table 51820",
    /the IPv6 rule that leads into the tunnel is gone/,
    /^fail +the IPv6 rule that leads into the tunnel is gone.*without the tunnel/m,
  ],
  [
    "the rule that lets the main table come first",
    FULL,
    "ip rule delete table main suppress_prefixlength 0",
    /the IPv4 rule that lets the main table's own routes come first is gone/,
    /^warn +the IPv4 rule that lets the main/m,
  ],
  [
    "the routes, by a link that was set down and up",
    FULL,
    "ip link set c down; ip link set c up",
    /the route 0\.0\.0\.0\/0 of table 51820 is gone/,
    /^fail +the route 0\.0\.0\.0\/0 of table 51820 is gone: packets leave this machine without the tunnel/m,
  ],
  ["the link", FULL, "ip link set c down", /the interface is down/, /^fail +the interface is down/m],
  [
    "the addresses",
    FULL,
    "ip address flush dev c",
    /the address 10\.7\.0\.2\/24 is gone\n.*the address fd07::2\/64 is gone/,
    /^fail +the address fd07::2\/64 is gone/m,
  ],
  ["the MTU", SPLIT, "ip link set mtu 1300 dev c", /its MTU is 1300, not 1420/, /^warn +its MTU is 1300/m],
  [
    "the firewall",
    FULL,
    "nft flush ruleset",
    /the firewall's table ip6 wg-quick-c is gone\n.*the firewall's table ip wg-quick-c is gone/,
    /^warn +the firewall's table ip6 wg-quick-c is gone/m,
  ],
  [
    "a chain of the firewall",
    FULL,
    "nft flush chain ip wg-quick-c preraw",
    /the firewall's table ip wg-quick-c is not complete/,
    /^warn +the firewall's table ip wg-quick-c is not complete/m,
  ],
  [
    "/etc/resolv.conf",
    FULL,
    "rm /etc/resolv.conf",
    /its DNS servers are not in use: \/etc\/resolv\.conf is gone/,
    /^warn +its DNS servers are not in use/m,
  ],
  [
    "/etc/resolv.conf, for another one",
    FULL,
    "echo nameserver 192.0.2.54 > /etc/resolv.conf",
    /its DNS servers are not in use: \/etc\/resolv\.conf is another one/,
    /^warn +its DNS servers are not in use/m,
  ],
  [
    "src_valid_mark",
    FULL,
    "sysctl -q net.ipv4.conf.all.src_valid_mark=0",
    /net\.ipv4\.conf\.all\.src_valid_mark is 0, not 1/,
    /^warn +net\.ipv4\.conf\.all\.src_valid_mark is 0/m,
  ],
  [
    "routes of a split tunnel, those of its addresses too",
    SPLIT,
    "ip route flush dev c; ip -6 route flush dev c",
    /the route 10\.7\.0\.0\/24 is gone\n(.*\n)*.*the route 10\.8\.0\.0\/16 is gone/,
    /^fail +the route 10\.7\.0\.0\/24 is gone/m,
  ],
  [
    "the mark",
    FULL,
    "wg set c fwmark off",
    /its mark is off, not 51820/,
  ],
  [
    "the peer",
    SPLIT,
    `wg set c peer ${them.publicKey} remove`,
    /peer \S+ is gone/,
    /^fail +it has no peers/m,
  ],
];

for (const [what, file, script, status, doctor] of CASES) {
  await rootTest(`removed by another program: ${what}`, { programs: PROGRAMS }, async () => {
    await using host = await client(file);
    const before = await comparable(host);
    const asked = async () => await host.ok(...wgd, "quick", "status", "c");
    equal((await asked()).split("\n").length, 2, await asked());
    await host.sh(script);
    match(await asked(), status);
    const json = JSON.parse(await host.ok(...wgd, "quick", "status", "c", "--json")).interfaces[0];
    match(json.differences.map(({ message }: { message: string }) => message).join("\n"), /./);
    const found = await host.run([...wgd, "doctor", "c"]);
    if (doctor) match(found.stdout, doctor);
    if (doctor?.source.startsWith("^fail")) equal(found.code, 1, found.stdout);
    const reload = await host.run([...wgd, "quick", "reload", FILE]);
    equal(reload.code, 0, reload.stderr);
    const after = await comparable(host);
    for (const part of Object.keys(before)) deepEqual({ [part]: after[part] }, { [part]: before[part] });
    equal((await asked()).split("\n").length, 2, await asked());
    if (doctor) doesNotMatch((await host.run([...wgd, "doctor", "c"])).stdout, doctor);
    const again = await host.run([...wgd, "quick", "reload", FILE]);
    equal(again.stderr, "", "a second down has nothing to do");
    const down = await host.run([...wgd, "quick", "down", FILE]);
    equal(down.code, 0, down.stderr);
    equal(await host.sh("ip -4 rule show | wc -l; nft list ruleset"), "3\n");
  });
}

await rootTest(
  "removed by another program: rules of iptables; reload restores them, and down deletes the others",
  {
    programs: ["wg", "iptables", "ip6tables"],
  },
  async () => {
    await using host = await Host.create("client");
    // Without nft in PATH, wgd uses iptables.
    await host.sh(
      `ip link add eth0 type veth peer name far
    ip address add 192.0.2.2/24 dev eth0; ip link set eth0 up; ip link set far up
    ip route add default via 192.0.2.1
    mkdir /run/lab/bin; for p in bash sh ip wg iptables ip6tables iptables-restore ip6tables-restore iptables-save \\
      ip6tables-save sysctl cat grep stat tail gzip tar mkdir \\
      readlink id; do ln -s "$(command -v $p)" /run/lab/bin/; done
    umask 077; cat > ${FILE}`,
      { stdin: `${head}${peer("0.0.0.0/0, ::/0")}` },
    );
    const quick = async (action: string, target = FILE) => {
      const { code, stdout, stderr } = await host.run([
        "env",
        "PATH=/run/lab/bin",
        ...wgd,
        "quick",
        action,
        target,
      ]);
      equal(code, 0, stderr);
      return stdout;
    };
    // A self-extracting wgd unpacks itself with all programs at hand.
    await host.ok(...wgd, "--version");
    const rules = () => host.sh("(iptables-save; ip6tables-save) | grep -c 'wg-quick(8) rule for c' || true");
    const remove = () =>
      host.sh(`
    iptables-save | grep -- '-A POSTROUTING.*wg-quick(8)' | sed 's/^-A/iptables -t mangle -D/' | sh
    ip6tables-save | grep -- '-A PREROUTING .*! -i c .*wg-quick(8)' | sed 's/^-A/ip6tables -t raw -D/' | sh`);
    await quick("up");
    equal(await rules(), "6\n");
    equal((await quick("status", "c")).split("\n").length, 2);
    await remove();
    equal(await rules(), "4\n");
    const status = await quick("status", "c");
    match(status, /rules of iptables for the interface are gone/);
    match(status, /rules of ip6tables for the interface are gone/);
    await quick("reload");
    equal(await rules(), "6\n");
    equal((await quick("status", "c")).split("\n").length, 2);
    await remove();
    equal(await rules(), "4\n");
    await quick("down");
    equal(await rules(), "0\n");
  },
);
