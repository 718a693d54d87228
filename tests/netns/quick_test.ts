/**
 * `wgd quick` compared with Debian's wg-quick: the same file on two equal hosts leads to the same system state.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import fc from "fast-check";
import { parseConfig } from "../../core/config/format.ts";
import { formatKey } from "../../core/config/key.ts";
import { formatPrefix } from "../../core/config/prefix.ts";
import { eventually } from "./lab/exec.ts";
import { Host } from "./lab/host.ts";
import { generateKeys } from "./lab/keys.ts";
import { quickFile } from "./lab/quick_files.ts";
import { FULL, rootTest } from "./lab/rooted.ts";
import { systemState } from "./lab/system_state.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const wgd = wgdCommand();
const built = wgd.length === 1 ? wgd[0] : undefined;
const PROGRAMS = ["wg", "wg-quick", "nft"];

/** A host with a default route, as clients have. */
async function client(): Promise<Host> {
  const host = await Host.create("client");
  await host.sh(`
    ip link add eth0 type veth peer name far
    ip address add 192.0.2.2/24 dev eth0; ip link set eth0 up; ip link set far up
    ip route add default via 192.0.2.1
    mkdir -p /run/lab/etc`);
  return host;
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
  "a DNS server, by resolvconf":
    `${interfaceLines}Address = 10.0.0.2/24\nDNS = 10.0.0.1, fd00::1, example.org\n${peerLines}AllowedIPs = 10.0.0.0/24\n`,
  "a file that is saved":
    `${interfaceLines}Address = 10.0.0.2/24, fd00::2/64\nSaveConfig = true\nMTU = 1300\nPostUp = ip address add 10.8.0.1/24 dev %i; ip link set mtu 1320 dev %i\n${peerLines}AllowedIPs = 10.0.0.0/24, fd00::/64\n`,
  "everything goes into the tunnel, and the file is saved":
    `${interfaceLines}Address = 10.0.0.2/32\nListenPort = 51999\nSaveConfig = true\n${peerLines}AllowedIPs = 0.0.0.0/0\n`,
  "a server":
    `${interfaceLines}Address = 10.0.0.1/24\nListenPort = 51820\n\n[Peer]\n# foo\nPublicKey = ${server.publicKey}\nAllowedIPs = 10.0.0.7/32, 10.3.0.0/24\n`,
};

for (const [name, text] of Object.entries(FILES)) {
  await rootTest(`wgd quick has the same result as wg-quick: ${name}`, { programs: PROGRAMS }, async () => {
    const { up, calls } = await twins(text);
    equal(up, 0);
    equal(/resolvconf/.test(name), calls !== "");
  });
}

/** Files that a generator writes; the same in every run, and others by WGD_TEST_SEED. */
const GENERATED = FULL ? 400 : 24;
const SEED = Number(Deno.env.get("WGD_TEST_SEED") ?? 1);

await rootTest(`wgd quick has the same result as wg-quick: ${GENERATED} generated files`, {
  programs: PROGRAMS,
}, async () => {
  const keys = { privateKey: us.privateKey, peers: [server.publicKey, generateKeys().publicKey] };
  const ended = new Map<number, number>();
  for (const [index, text] of fc.sample(quickFile(keys), { numRuns: GENERATED, seed: SEED }).entries()) {
    try {
      const { up } = await twins(text);
      ended.set(up, (ended.get(up) ?? 0) + 1);
    } catch (cause) {
      const shown = text.replaceAll(us.privateKey, "(private key)");
      throw new Error(`file ${index} of seed ${SEED}: ${(cause as Error).message}\n${shown}`, { cause });
    }
  }
  const ends = [...ended].map(([code, number]) => `${number} with ${code}`);
  console.log(`${GENERATED} files of seed ${SEED}: up ended ${ends.join(", ")}`);
  // Two that cannot come up look alike, too; most must be of another kind.
  ok((ended.get(0) ?? 0) > GENERATED / 2);
});

/** Brings the same file up and down on two hosts, by wgd and by wg-quick, and compares the results. */
async function twins(text: string): Promise<{ up: number; calls: string }> {
  await using ours = await client();
  await using theirs = await client();
  const before = await systemState(ours);
  deepEqual(await systemState(theirs), before);
  const file = "/run/lab/etc/tun.conf";
  for (const host of [ours, theirs]) await host.sh(`umask 077; cat > ${file}`, { stdin: text });
  // One word: wg-quick cannot pass arguments on.
  await theirs.sh(`cat > /run/lab/wgd; chmod 755 /run/lab/wgd`, {
    stdin: `#!/bin/sh\nexec ${wgd.join(" ")} run "$1"\n`,
  });
  const env = text.includes("DNS") ? await recordResolvconf(ours, theirs) : {};
  const original = { env: { ...env, WG_QUICK_USERSPACE_IMPLEMENTATION: built ?? "/run/lab/wgd" } };
  const same = async (what: string) => {
    deepEqual({ what, ...await unordered(ours) }, { what, ...await unordered(theirs) });
    const files = "cat /run/lab/resolvconf.calls /run/lab/trace 2>/dev/null || true";
    deepEqual({ what, files: await ours.sh(files) }, { what, files: await theirs.sh(files) });
    deepEqual(meaning(await ours.sh(`cat ${file}`)), meaning(await theirs.sh(`cat ${file}`)));
  };

  const up = await ours.run([...wgd, "quick", "up", file], { env });
  const theirUp = await theirs.run(["wg-quick", "up", file], original);
  equal(up.code, theirUp.code, `${up.stderr}\n---\n${theirUp.stderr}`);
  await same("after up");
  if (up.code === 0) {
    const down = await ours.run([...wgd, "quick", "down", file], { env });
    const theirDown = await theirs.run(["wg-quick", "down", file], original);
    equal(down.code, theirDown.code, `${down.stderr}\n---\n${theirDown.stderr}`);
    await same("after down");
  }
  if (!text.includes("203.0.113.0")) {
    const marked = (state: Record<string, string>) => ({ ...state, mark: "" });
    deepEqual(
      marked(await systemState(ours)),
      marked(before),
      "nothing is left but the sysctl, as with the original",
    );
  }
  return { up: up.code, calls: await ours.sh("cat /run/lab/resolvconf.calls 2>/dev/null || true") };
}

/** The system without the order of the rules that keep others from our addresses: the kernel lists IPv6 the other way. */
async function unordered(host: Host): Promise<Record<string, string>> {
  const { firewall = "", ...state } = await systemState(host);
  return {
    ...state,
    firewall: firewall.replace(/(?:.* daddr .* drop\n)+/g, (rules) => rules.split("\n").sort().join("\n")),
  };
}

/** Gives both hosts a resolvconf that logs its calls. Without it wg-quick does not work. */
async function recordResolvconf(...hosts: Host[]): Promise<Record<string, string>> {
  for (const host of hosts) {
    await host.sh("mkdir -p /run/lab/bin; cat > /run/lab/bin/resolvconf; chmod 755 /run/lab/bin/resolvconf", {
      stdin: `#!/bin/sh
        list=/run/lab/resolvconf.list
        [ "$1" = -l ] && exec cat $list
        echo "$@" >> /run/lab/resolvconf.calls
        [ "$1" = -a ] && tee $list >> /run/lab/resolvconf.calls || rm -f $list
      `,
    });
  }
  return { PATH: `/run/lab/bin:${Deno.env.get("PATH")}` };
}

/** What a file says, in whatever order and words; a port that the system chose is not compared. */
function meaning(text: string): unknown {
  // wg-quick asks resolvconf for the servers when it saves, and loses the search domains.
  // Debian's wg-quick of 2021 takes what is behind a "#" in a hook for a comment.
  const hooks = /^((?:Pre|Post)(?:Up|Down) = .*?)\s*#.*$/gm;
  const { listenPort, peers, address = [], dnsSearch = [], fwmark, mtuLine: _, ...rest } = parseConfig(
    text.replace(hooks, "$1"),
  );
  return {
    ...rest,
    ...(!rest.saveConfig && { dnsSearch }),
    // Off is off, said or not.
    fwmark: fwmark || undefined,
    listenPort: /ListenPort = 51999|SaveConfig/.test(text) && listenPort !== 51999 ? "chosen" : listenPort,
    // Without a length it is the address alone.
    address: address.filter((one) => !one.startsWith("fe80")).map((one) =>
      one.includes("/") ? one : `${one}/${one.includes(":") ? 128 : 32}`
    )
      .sort(),
    peers: peers.map(({ endpointLine: _, publicKeyLine: __, publicKey, allowedIps, ...peer }) => ({
      ...peer,
      publicKey: formatKey(publicKey),
      allowedIps: allowedIps.map(({ prefix }) => formatPrefix(prefix)).sort(),
    })),
  };
}

/** The errors of `quick up` for files that cannot work. Nothing may be left behind. */
async function refusal(host: Host, text: string): Promise<string> {
  const before = await systemState(host);
  await host.sh("umask 077; cat > /run/lab/etc/bad.conf", { stdin: text });
  const { code, stderr } = await host.run([...wgd, "quick", "up", "/run/lab/etc/bad.conf"]);
  equal(code, 1, stderr);
  deepEqual(await systemState(host), before);
  equal(await host.sh("ls /run/wireguard 2>/dev/null || true"), "");
  ok(!/\bat \S+:\d+:\d+/.test(stderr), stderr);
  return stderr;
}

await rootTest("an error in a file gives place and reason, and leaves nothing behind", {
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
  for (const name of ["bad", "nothere"]) await nobodyWaits(host, name);
});

/** Runs `wgd quick`, which must succeed. */
async function quick(host: Host, ...args: string[]): Promise<string> {
  const { code, stderr } = await host.run([...wgd, "quick", ...args]);
  equal(code, 0, stderr);
  return stderr;
}

/** Kills an interface's process, as in a crash: nothing is cleaned up. */
async function crash(host: Host, name: string): Promise<void> {
  await host.sh(`
    for pid in $(pgrep -f 'run.* ${name}$'); do
      [ "$(readlink /proc/$pid/ns/net)" = "$(readlink /proc/self/ns/net)" ] && kill -9 $pid
    done
    for i in 1 2 3 4 5 6 7 8 9; do [ -e /sys/class/net/${name} ] || exit 0; sleep 0.1; done; exit 1`);
}

const fullTunnel = (hook = "") =>
  `${interfaceLines}Address = 10.0.0.2/32, fd00::2/128\n${hook}${peerLines}AllowedIPs = 0.0.0.0/0, ::/0\n`;

await rootTest("down undoes what up did, also when the file has changed or is gone", {
  programs: PROGRAMS,
}, async () => {
  await using host = await client();
  const before = { ...await systemState(host), mark: "1\n" };
  await host.sh("sysctl -q net.ipv4.conf.all.src_valid_mark=1; umask 077; cat > /run/lab/etc/wg0.conf", {
    stdin: fullTunnel(
      "PostUp = ip route add 198.51.100.0/24 dev eth0\nPostDown = ip route del 198.51.100.0/24 dev eth0\n",
    ),
  });
  await quick(host, "up", "/run/lab/etc/wg0.conf");
  await host.sh("cat > /run/lab/etc/wg0.conf", { stdin: "[Interface]\nTable = off\nPostDown = false\n" });
  await quick(host, "down", "/run/lab/etc/wg0.conf");
  deepEqual(await systemState(host), before);

  await host.sh("cat > /run/lab/etc/wg0.conf", { stdin: fullTunnel() });
  await quick(host, "up", "/run/lab/etc/wg0.conf");
  await host.sh("rm /run/lab/etc/wg0.conf");
  await quick(host, "down", "/run/lab/etc/wg0.conf");
  deepEqual(await systemState(host), before);
});

/** A record with one thing in it that no step can be. */
function damagedRecords(): string[] {
  const quick = { preDown: [], postDown: [], saveConfig: false };
  const whole = {
    name: "wg0",
    file: "/run/lab/etc/wg0.conf",
    since: "",
    index: 1,
    complete: true,
    quick,
    steps: [],
  };
  const undone = (undo: unknown) => ({ ...whole, steps: [{ kind: "command", command: ["true"], undo }] });
  return [
    { ...whole, quick: 7 },
    { ...whole, pending: 7 },
    undone({ kind: "command" }),
    undone({ kind: "resolv-conf" }),
    undone({ kind: "else" }),
  ].map((record) => JSON.stringify(record));
}

await rootTest("an invalid record is named, and without it down uses the file", {
  programs: PROGRAMS,
}, async () => {
  await using host = await client();
  await host.sh("umask 077; cat > /run/lab/etc/wg0.conf", { stdin: FILES["a client of one network"]! });
  const before = await systemState(host);
  for (const content of ['{"name":"wg0",', "null", ...damagedRecords()]) {
    await quick(host, "up", "/run/lab/etc/wg0.conf");
    await host.sh("cat > /run/wgd/wg0@$(readlink /proc/self/ns/net | tr -dc 0-9).json", { stdin: content });
    for (const action of ["down", "reload"]) {
      const { code, stderr } = await host.run([...wgd, "quick", action, "/run/lab/etc/wg0.conf"]);
      equal(code, 1);
      match(
        stderr,
        /\/run\/wgd\/wg0@\d+\.json is not what "wgd quick up" has written\nhint: .*: rm \/run\/wgd/,
      );
    }
    await host.sh("rm /run/wgd/wg0@$(readlink /proc/self/ns/net | tr -dc 0-9).json");
    await quick(host, "down", "/run/lab/etc/wg0.conf");
    deepEqual(await systemState(host), before);
  }
});

await rootTest("names of endpoints are looked up, and the system's state is read, after PreUp", {
  programs: PROGRAMS,
}, async () => {
  await using host = await client();
  const peer = peerLines.replace("192.0.2.1:", "server.test:");
  await host.sh("umask 077; touch /run/lab/hosts; cat > /run/lab/etc/wg0.conf", {
    stdin: `${interfaceLines}Address = 10.0.0.2/24\nPreUp = echo 192.0.2.1 server.test >> /etc/hosts\n` +
      `PreUp = ip link set eth0 mtu 1400\n${peer}AllowedIPs = 10.0.0.0/24\n`,
  });
  // With an /etc/hosts of its own.
  const program = wgd.join(" ");
  await host.sh(`unshare -m sh -c 'mount --bind /run/lab/hosts /etc/hosts
    exec ${program} quick up /run/lab/etc/wg0.conf'`);
  match(await host.ok("wg", "show", "wg0", "endpoints"), /\t192\.0\.2\.1:51820\n$/);
  match(await host.ok("ip", "link", "show", "wg0"), / mtu 1320 /);
  await quick(host, "down", "/run/lab/etc/wg0.conf");
});

await rootTest("two full tunnels do not take down each other's rules", { programs: PROGRAMS }, async () => {
  await using host = await client();
  await host.sh("umask 077; cat > /run/lab/etc/wg0.conf; cp /run/lab/etc/wg0.conf /run/lab/etc/wg1.conf", {
    stdin: fullTunnel(),
  });
  await quick(host, "up", "/run/lab/etc/wg0.conf");
  const { rules, firewall } = await systemState(host);
  await quick(host, "up", "/run/lab/etc/wg1.conf");
  await quick(host, "down", "/run/lab/etc/wg1.conf");
  const after = await systemState(host);
  // The rules' numbers move: the kernel gives the next lower one.
  deepEqual(after.rules!.replace(/^\d+/gm, ""), rules!.replace(/^\d+/gm, ""));
  equal(after.firewall, firewall);
  await quick(host, "down", "/run/lab/etc/wg0.conf");
});

await rootTest("the next up or down cleans up after a killed interface", {
  programs: PROGRAMS,
}, async () => {
  await using host = await client();
  await host.sh("sysctl -q net.ipv4.conf.all.src_valid_mark=1");
  const before = await systemState(host);
  await host.sh("umask 077; cat > /run/lab/etc/wg0.conf", {
    stdin: fullTunnel(
      "PostUp = ip route add 198.51.100.0/24 dev eth0\nPostDown = ip route del 198.51.100.0/24 dev eth0\n",
    ),
  });
  await quick(host, "up", "/run/lab/etc/wg0.conf");
  const up = await systemState(host);
  await crash(host, "wg0");
  match(await quick(host, "up", "/run/lab/etc/wg0.conf"), /wg0 has ended without "wgd quick down"/);
  const numberless = (all: Record<string, string>) => ({
    ...all,
    wireguard: "",
    rules: all.rules!.replace(/^\d+/gm, ""),
  });
  deepEqual(numberless(await systemState(host)), numberless(up));
  await crash(host, "wg0");
  await quick(host, "down", "/run/lab/etc/wg0.conf");
  deepEqual(await systemState(host), before);
  equal(
    (await host.run([...wgd, "quick", "down", "/run/lab/etc/wg0.conf"])).code,
    1,
    "there is nothing left to do",
  );
});

/** An interface's process is started before it is known whether there will be one. */
async function nobodyWaits(host: Host, name: string): Promise<void> {
  const here = (await host.ok("readlink", "/proc/self/ns/net")).trim();
  await eventually(`the process of ${name} to be gone`, async () => {
    for await (const { name: pid } of Deno.readDir("/proc")) {
      if (!/^\d/.test(pid)) continue;
      const words = await Deno.readTextFile(`/proc/${pid}/cmdline`).catch(() => "");
      if (!words.endsWith(`\0--foreground\0${name}\0`)) continue;
      // This machine may have one of that name.
      if (await Deno.readLink(`/proc/${pid}/ns/net`).catch(() => "") === here) return false;
    }
    return true;
  });
}

await rootTest("after kill -9 of quick itself, at any step, down undoes everything", {
  programs: PROGRAMS,
}, async () => {
  await using host = await client();
  await host.sh("sysctl -q net.ipv4.conf.all.src_valid_mark=1; umask 077; cat > /run/lab/etc/wg0.conf", {
    stdin: fullTunnel(),
  });
  const before = await systemState(host);
  await quick(host, "up", "/run/lab/etc/wg0.conf");
  await quick(host, "down", "/run/lab/etc/wg0.conf");
  let interrupted = 0;
  for (let delay = 0.01; delay < 2; delay += 0.03) {
    const { code } = await host.run([
      "timeout",
      "-s",
      "KILL",
      delay.toFixed(2),
      ...wgd,
      "quick",
      "up",
      "/run/lab/etc/wg0.conf",
    ]);
    const down = await host.run([...wgd, "quick", "down", "/run/lab/etc/wg0.conf"]);
    // Only if nothing had been begun, it reports that there is nothing.
    ok(down.code === 0 || !down.stderr.includes("has ended without"), `after ${delay} s: ${down.stderr}`);
    deepEqual(await systemState(host), before, `after ${delay} s`);
    await nobodyWaits(host, "wg0");
    equal(await host.sh("ls /run/wgd | grep @$(readlink /proc/self/ns/net | tr -dc 0-9).json || true"), "");
    if (code === 0) break;
    interrupted++;
  }
  ok(interrupted > 0);
});

await rootTest("without a resolver service, /etc/resolv.conf is replaced and restored, in any order", {
  programs: PROGRAMS,
}, async () => {
  await using host = await client();
  const file = (server: string) =>
    `${interfaceLines}Address = 10.0.0.2/32\nDNS = ${server}, example.org\n${peerLines}AllowedIPs = 10.0.0.0/24\n`;
  await host.sh("umask 077; cat > /run/lab/etc/wg0.conf", { stdin: file("10.0.0.1") });
  await host.sh("umask 077; cat > /run/lab/etc/wg1.conf", {
    stdin: file("10.0.0.9").replace("10.0.0.2/32", "10.0.0.3/32").replace("10.0.0.0/24", "10.1.0.0/24"),
  });
  // An /etc of its own, in a mount namespace of its own, with resolv.conf as a link, as a file, as nothing.
  for (const make of ["ln -s /nowhere/stub.conf", "echo nameserver 192.0.2.53 >", "ls"]) {
    const program = wgd.join(" ");
    await host.sh("cat > /run/lab/dns.sh", {
      stdin: `
        show() { ls /etc/resolv.conf || true; readlink /etc/resolv.conf || cat /etc/resolv.conf || true; }
        mkdir -p /run/lab/over; mount -t tmpfs none /run/lab/over; mkdir /run/lab/over/upper /run/lab/over/work
        mount -t overlay -o lowerdir=/etc,upperdir=/run/lab/over/upper,workdir=/run/lab/over/work none /etc
        rm -f /etc/resolv.conf; ${make} /etc/resolv.conf 2>/dev/null || true
        before=$(show)
        ${program} quick up /run/lab/etc/wg0.conf; cat /etc/resolv.conf
        ${program} quick up /run/lab/etc/wg1.conf; grep -c 10.0.0.9 /etc/resolv.conf
        ${program} quick down /run/lab/etc/wg0.conf; grep -c 10.0.0.9 /etc/resolv.conf
        ${program} quick down /run/lab/etc/wg1.conf
        [ "$before" = "$(show)" ] && echo as before`,
    });
    const text = await host.sh("unshare -m sh -e /run/lab/dns.sh");
    match(text, /nameserver 10\.0\.0\.1\nsearch example\.org\n1\n1\nas before\n$/);
  }
});

await rootTest(
  "--dry-run prints all steps and does nothing",
  { programs: PROGRAMS },
  async () => {
    await using host = await client();
    await host.sh("umask 077; cat > /run/lab/etc/wg0.conf", {
      stdin: fullTunnel("PreUp = touch /run/lab/touched\n"),
    });
    const before = await systemState(host);
    const plan = await quick(host, "up", "--dry-run", "/run/lab/etc/wg0.conf");
    deepEqual(await systemState(host), before);
    equal(await host.sh("ls /run/lab/touched 2>/dev/null || true"), "");
    match(plan, /^\[#\] touch \/run\/lab\/touched$/m);
    match(plan, /^\[#\] {5}add table ip wg-quick-wg0$/m);
    const done = await quick(host, "up", "/run/lab/etc/wg0.conf");
    equal(plan.replace(/^\[#\] {5}.*\n/gm, ""), done);
    const undone = await quick(host, "down", "--dry-run", "/run/lab/etc/wg0.conf");
    match(undone, /ip link delete dev wg0/);
    equal(await quick(host, "down", "/run/lab/etc/wg0.conf"), undone);
    deepEqual({ ...await systemState(host), mark: "" }, { ...before, mark: "" });
  },
);

await rootTest(
  "a comment in the file turns features off, and an unknown feature is an error before the first step",
  {
    programs: PROGRAMS,
  },
  async () => {
    await using host = await client();
    const file = "/run/lab/etc/wg0.conf";
    const text = `${interfaceLines}Address = 10.0.0.2/24\n# wgd: Disable = udp-gro, tun-udp\n${peerLines}`;
    await host.sh(`umask 077; cat > ${file}`, { stdin: text });
    await quick(host, "up", file);
    const { interfaces } = JSON.parse(await host.ok(...wgd, "show", "wg0", "--json", "--verbose"));
    const off = interfaces[0].diagnostics.features.filter(({ on }: { on: boolean }) => !on);
    deepEqual(off.map(({ feature, why }: { feature: string; why: string }) => `${feature}: ${why}`), [
      "tun-udp: switched off",
      "udp-gro: switched off",
    ]);
    await quick(host, "down", file);
    const before = await systemState(host);
    await host.sh(`sed -i s/tun-udp/tun-sctp/ ${file}`);
    const { code, stderr } = await host.run([...wgd, "quick", "up", file]);
    equal(code, 1);
    match(stderr, /"tun-sctp" is not a feature [\s\S]*hint: .*wg0\.conf:4: Disable: there are tun-tcp/);
    deepEqual(await systemState(host), before);
  },
);
