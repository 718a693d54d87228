/**
 * The hints of `wgd quick`: each fault is really caused, and each hint must give its real cause.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { eventually } from "./lab/exec.ts";
import { Host } from "./lab/host.ts";
import { generateKeys } from "./lab/keys.ts";
import { connect } from "./lab/network.ts";
import { rootTest } from "./lab/rooted.ts";
import { systemState } from "./lab/system_state.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const wgd = wgdCommand();
const PROGRAMS = ["wg", "nft", "iptables"];
const FOLDER = "/etc/wireguard";
const [us, server] = [generateKeys(), generateKeys()];

/** A host with a default route, as clients have, and an empty /etc/wireguard. */
async function client(): Promise<Host> {
  const host = await Host.create("client");
  await host.sh(`
    mount -t tmpfs -o mode=700 tmpfs ${FOLDER}
    ip link add eth0 type veth peer name far
    ip address add 192.0.2.2/24 dev eth0; ip link set eth0 up; ip link set far up
    ip route add default via 192.0.2.1`);
  return host;
}

/** The differences from a file without a fault. */
interface FileParts {
  readonly address?: string;
  readonly allowedIps?: string;
  readonly endpoint?: string;
  readonly publicKey?: string;
  /** Lines of [Interface], from line 4 on. */
  readonly more?: string;
}

function file(parts: FileParts): string {
  const { address = "10.7.0.2/24", allowedIps = "10.7.0.0/24", endpoint = "192.0.2.1:51820" } = parts;
  return `[Interface]\nPrivateKey = ${us.privateKey}\nAddress = ${address}\n${parts.more ?? ""}\n[Peer]\n` +
    `PublicKey = ${
      parts.publicKey ?? server.publicKey
    }\nEndpoint = ${endpoint}\nAllowedIPs = ${allowedIps}\n`;
}

const write = (host: Host, text: string, name = "c.conf") =>
  host.sh(`umask 077; cat > ${FOLDER}/${name}`, { stdin: text });

/** One case in which `up` fails. */
interface Fault extends FileParts {
  /** Changes the system to cause the fault. */
  readonly prepare?: string;
  /** The output of `up` besides its steps. Every pattern must match. */
  readonly says: readonly RegExp[];
  /** Its exit code; 0 if it is a warning. */
  readonly code: number;
  /** The output of `check`, with exit code 1 if `up` fails or `checkCode` is 1; absent if it finds nothing. */
  readonly check?: RegExp;
  readonly checkCode?: number;
  /** Checked while the interface is up. */
  readonly up?: (host: Host) => Promise<void>;
}

/** A folder for PATH with all programs that `up` calls, except some. */
const without = (...programs: string[]) =>
  `mkdir /run/lab/bin; for p in bash ip nft iptables iptables-restore ip6tables ip6tables-restore sysctl \\
    resolvconf sh cat grep stat tail gzip tar mkdir readlink id; do
    path=$(command -v $p) && ln -s "$path" /run/lab/bin/ || true; done
  rm -f ${programs.map((program) => `/run/lab/bin/${program}`).join(" ")}`;

/** A program that is found before the system's. */
const instead = (program: string, script: string) =>
  `mkdir -p /run/lab/bin; printf '#!/bin/sh\\n${script}\\n' > /run/lab/bin/${program}; chmod +x /run/lab/bin/${program}`;

const IPV6_OFF = "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1";

const FAULTS: Record<string, Fault> = {
  "an MTU too small for IPv6, with a network of IPv6": {
    more: "MTU = 1200\n",
    address: "10.7.0.2/24, fd07::2/64",
    allowedIps: "10.7.0.0/24, fd07::/64",
    code: 1,
    says: [
      /^The MTU is too small for IPv6: `1200'$/m,
      /^hint: \S*c\.conf:4: MTU: found 1200, but IPv6 needs 1280 .*set MTU = 1280 or more/m,
    ],
    check: /^hint: \S*c\.conf:4: MTU: found 1200, but IPv6 needs 1280/m,
  },
  "an MTU too small for IPv6, with ::/0": {
    more: "MTU = 1279\n",
    allowedIps: "0.0.0.0/0, ::/0",
    code: 1,
    says: [/^hint: \S*c\.conf:4: MTU: found 1279, but IPv6 needs 1280/m],
    check: /^hint: \S*c\.conf:4: MTU: found 1279, but IPv6 needs 1280/m,
  },
  "an MTU too small for IPv6, with an address of IPv6 alone": {
    more: "MTU = 1200\n",
    address: "10.7.0.2/24, fd07::2/64",
    code: 0,
    says: [
      /^Warning: \S*c\.conf:4: MTU: found 1200, but IPv6 needs 1280.* comes up without its IPv6 addresses/m,
    ],
    check: /^Warning: \S*c\.conf:4: MTU: found 1200, but IPv6 needs 1280/m,
    checkCode: 0,
    up: async (host) => {
      ok(!(await host.sh("ip address show dev c")).includes("fd07"));
      equal((await status(host)).changes.length, 0);
    },
  },
  "a route whose MTU leaves too little for IPv6": {
    prepare: "ip link set eth0 mtu 1300",
    address: "10.7.0.2/24, fd07::2/64",
    allowedIps: "10.7.0.0/24, fd07::/64",
    code: 0,
    says: [/^Warning: \S*c\.conf: MTU: the route to the endpoint leaves 1220 bytes, but IPv6 needs 1280/m],
    up: async (host) => {
      match(await host.sh("ip link show dev c"), / mtu 1280 /);
      match(await host.sh("ip address show dev c"), /fd07::2\/64/);
      equal((await status(host)).changes.length, 0);
    },
  },
  "the interface's own public key as a peer": {
    publicKey: us.publicKey,
    code: 0,
    says: [/^Warning: \S*c\.conf:6: PublicKey: found the interface's own key/m],
    check: /^hint: \S*c\.conf:6: PublicKey: found the interface's own key, expected the peer's/m,
    checkCode: 1,
    up: async (host) => {
      equal((await host.sh("wg show c peers")).trim(), "");
      equal((await status(host)).changes.length, 0);
      const reload = await host.run([...wgd, "quick", "reload", "c"]);
      equal(reload.code, 0);
      ok(!reload.stderr.includes("[#]"), reload.stderr);
    },
  },
  "IPv6 off by sysctl, with an address of IPv6": {
    prepare: IPV6_OFF,
    address: "10.7.0.2/24, fd07::2/64",
    code: 2,
    says: [
      /^hint: IPv6 is turned off on c \(net\.ipv6\.conf\.c\.disable_ipv6 = 1\)/m,
      /sysctl net\.ipv6\.conf\.all\.disable_ipv6=0/,
      /remove the IPv6 addresses and networks/,
    ],
  },
  "IPv6 off by sysctl, with ::/0": {
    prepare: IPV6_OFF,
    allowedIps: "0.0.0.0/0, ::/0",
    code: 2,
    says: [/^hint: IPv6 is turned off on c /m],
  },
  "IPv6 off by a hook, with a network of IPv6": {
    more: "PreUp = sysctl -qw net.ipv6.conf.%i.disable_ipv6=1\n",
    allowedIps: "10.7.0.0/24, fd07::/64",
    code: 2,
    says: [/^hint: IPv6 is turned off on c /m],
  },
  "a route that is there already": {
    prepare: "ip route add 10.8.0.0/16 via 192.0.2.9",
    allowedIps: "10.7.0.0/24, 10.8.0.0/16",
    code: 2,
    says: [
      /^hint: there is already a route to 10\.8\.0\.0\/16: 10\.8\.0\.0\/16 via 192\.0\.2\.9 dev eth0/m,
      /remove 10\.8\.0\.0\/16 from AllowedIPs/,
    ],
  },
  "a route that is there already, in a table": {
    prepare: "ip route add 10.8.0.0/16 via 192.0.2.9 table 77",
    more: "Table = 77\n",
    allowedIps: "10.8.0.0/16",
    code: 2,
    says: [/^hint: there is already a route to 10\.8\.0\.0\/16: 10\.8\.0\.0\/16 via 192\.0\.2\.9 dev eth0/m],
  },
  "a hook that fails": {
    more: "PostUp = exit 3\n",
    code: 3,
    says: [/^hint: the hook "exit 3" of the file failed with exit code 3$/m],
  },
  "no program to make routes": {
    prepare: without("ip"),
    code: 1,
    says: [/^wgd: ip: command not found\nhint: install it; Debian's package is iproute2$/m],
  },
  "a table of no such name": {
    more: "Table = vpn\n",
    code: 255,
    says: [
      /^hint: no routing table has the name "vpn"; use a number, or add the name to \/etc\/iproute2\/rt_tables/m,
    ],
  },
  "an address twice": {
    address: "10.7.0.2/24, 10.7.0.2/24",
    code: 2,
    says: [/^hint: c already has the address 10\.7\.0\.2\/24: it is in the file twice, or a hook added it/m],
  },
  "an interface of that name that is none of WireGuard's": {
    prepare: "ip link add c type veth peer name d",
    code: 1,
    says: [
      /^wgd: `c' already exists$/m,
      /^hint: it is not a WireGuard interface \(see: ip -d link show c\); delete it, or bring .* --interface NAME/m,
    ],
  },
  "an interface of that name, of another VPN": {
    prepare: "ip tuntap add c mode tun",
    code: 1,
    says: [/^hint: it is not a WireGuard interface/m],
  },
  "an interface of that name, of WireGuard": {
    prepare: "wgd run c",
    code: 1,
    says: [/^wgd: `c' already exists$/m, /^hint: take it down first: wgd quick down c$/m],
  },
  "a read-only /proc/sys": {
    prepare: `sysctl -qw net.ipv4.conf.all.src_valid_mark=0
      mount --bind /proc/sys /proc/sys; mount -o remount,ro,bind /proc/sys`,
    allowedIps: "0.0.0.0/0",
    code: 1,
    says: [
      /^hint: \/proc\/sys cannot be written here .*host.* sysctl net\.ipv4\.conf\.all\.src_valid_mark=1/m,
      /--sysctl net\.ipv4\.conf\.all\.src_valid_mark=1/,
    ],
  },
  "no sysctl program": {
    prepare: `${without("sysctl")}; sysctl -qw net.ipv4.conf.all.src_valid_mark=0`,
    allowedIps: "0.0.0.0/0",
    code: 0,
    says: [],
    up: async (host) => equal(await host.sh("cat /proc/sys/net/ipv4/conf/all/src_valid_mark"), "1\n"),
  },
  "no program for the firewall": {
    prepare: without("nft", "iptables", "iptables-restore", "ip6tables", "ip6tables-restore"),
    allowedIps: "0.0.0.0/0",
    code: 0,
    says: [
      /^Warning: nft: command not found$/m,
      /^hint: .*local network.* install nftables or iptables$/m,
    ],
  },
  "no raw table in iptables": {
    prepare: `${without("nft", "iptables-restore")}
      ${
      instead(
        "iptables-restore",
        `if grep -q raw; then echo "iptables-restore: unable to initialize table '\\''raw'\\''" >&2; exit 1; fi`,
      )
    }`,
    allowedIps: "0.0.0.0/0",
    code: 1,
    says: [/^hint: the kernel has no table "raw" for iptables; load it: modprobe iptable_raw/m],
  },
  "nft without nf_tables in the kernel": {
    prepare: `${without("nft")}
      ${
      instead(
        "nft",
        `cat >/dev/null; echo "Error: Could not process rule: Operation not supported" >&2; exit 1`,
      )
    }`,
    allowedIps: "0.0.0.0/0",
    code: 1,
    says: [/^hint: the kernel has no nf_tables; load it: modprobe nf_tables/m],
  },
  "a file of AmneziaWG": {
    more: "Jc = 4\nJmin = 40\nJmax = 70\nS1 = 15\nS2 = 7\nH1 = 1\nH2 = 2\nH3 = 3\nH4 = 4\n",
    code: 1,
    says: [
      /^Line unrecognized: `Jc=4'$/m,
      /^hint: \S*c\.conf:4: Jc: found a key of AmneziaWG, .*use a WireGuard configuration/m,
    ],
    check: /^Line unrecognized: `Jc=4'\nhint: .*AmneziaWG.*\n$/,
  },
  "an endpoint inside the AllowedIPs": {
    allowedIps: "10.7.0.0/24, 192.0.0.0/8",
    endpoint: "192.0.3.1:51820",
    code: 0,
    says: [
      /^Warning: \S*c\.conf:7: Endpoint: 192\.0\.3\.1 is in AllowedIPs \(192\.0\.0\.0\/8\), so packets to it/m,
    ],
    check: /^Warning: \S*c\.conf:7: Endpoint: 192\.0\.3\.1 is in AllowedIPs \(192\.0\.0\.0\/8\)/m,
    checkCode: 0,
  },
  "an endpoint inside the AllowedIPs, and a route to it that is more specific": {
    allowedIps: "10.7.0.0/24, 192.0.0.0/8",
    code: 0,
    says: [],
    check: /^Warning: \S*c\.conf:7: Endpoint: .* unless a more specific route/m,
    checkCode: 0,
  },
};

async function status(host: Host): Promise<{ changes: string[] }> {
  return JSON.parse(await host.ok(...wgd, "quick", "status", "c", "--json")).interfaces[0];
}

for (const [what, fault] of Object.entries(FAULTS)) {
  await rootTest(`wgd quick reports what is wrong: ${what}`, { programs: PROGRAMS }, async () => {
    await using host = await client();
    await write(host, file(fault));
    const checked = await host.run([...wgd, "quick", "check", "c"]);
    if (fault.check) match(checked.stderr, fault.check);
    else equal(checked.stderr, "");
    equal(checked.code, fault.check ? fault.checkCode ?? 1 : 0, checked.stderr);

    await host.sh(`wgd() { ${wgd.map((word) => `'${word}'`).join(" ")} "$@"; }; ${fault.prepare ?? ""}`);
    const before = await systemState(host);
    const path = fault.prepare?.includes("/run/lab/bin") ? "PATH=/run/lab/bin " : "";
    const up = await host.run(["sh", "-c", `${path}exec "$@"`, "sh", ...wgd, "quick", "up", "c"]);
    const said = up.stderr.replace(/^\[#\] .*\n/gm, "");
    equal(up.code, fault.code, up.stderr);
    for (const pattern of fault.says) match(said, pattern);
    if (fault.says.length === 0) equal(said, "");
    ok(!/Warning: Warning|os error|\bat .*:\d+:\d+/.test(up.stderr), up.stderr);
    if (fault.code === 0) {
      await fault.up?.(host);
      await host.ok(...wgd, "quick", "down", "c");
    }
    const after = await systemState(host);
    deepEqual({ ...after, mark: before.mark }, before);
  });
}

await rootTest(
  "IPv6 packets of 1280 bytes arrive over a route with an MTU of 1300",
  { programs: PROGRAMS },
  async () => {
    await using near = await Host.create("near");
    await using far = await Host.create("far");
    await connect(
      { host: near, name: "eth0", addresses: ["192.0.2.1/24"] },
      { host: far, name: "eth0", addresses: ["192.0.2.2/24"] },
    );
    const ends = [[near, us, server, 1], [far, server, us, 2]] as const;
    for (const [host, own, other, number] of ends) {
      await host.sh(`ip link set eth0 mtu 1300; mount -t tmpfs -o mode=700 tmpfs ${FOLDER}`);
      const text =
        `[Interface]\nPrivateKey = ${own.privateKey}\nAddress = fd07::${number}/64\nListenPort = 51820\n` +
        `[Peer]\nPublicKey = ${other.publicKey}\nAllowedIPs = fd07::/64\nEndpoint = 192.0.2.${
          3 - number
        }:51820\n`;
      await write(host, text);
      await host.ok(...wgd, "quick", "up", "c");
    }
    // On a busy machine the first handshake may have to wait for a cookie.
    await eventually("packets of 1280 bytes to pass", async () => {
      const size = ["-s", "1232", "-M", "do"];
      const { stdout } = await near.run([
        "ping",
        "-6",
        "-c",
        "3",
        "-i",
        "0.2",
        "-W",
        "2",
        ...size,
        "fd07::2",
      ]);
      return / 0% packet loss/.test(stdout);
    });
  },
);
