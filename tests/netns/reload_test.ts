/**
 * `wgd quick reload`: a changed file is applied to the running interface without interrupting its traffic.
 *
 * @module
 */

import { deepEqual, equal, match } from "node:assert/strict";
import type { Host } from "./lab/host.ts";
import { generateKeys } from "./lab/keys.ts";
import { connect, Network } from "./lab/network.ts";
import { rootTest } from "./lab/rooted.ts";
import { systemState } from "./lab/system_state.ts";
import { PingStream } from "./lab/traffic.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const wgd = wgdCommand();
const PROGRAMS = ["wg", "nft", "ping"];
const [us, them, other] = [generateKeys(), generateKeys(), generateKeys()];
const FILE = "/run/lab/wg0.conf";

const server = `[Interface]
PrivateKey = ${them.privateKey}
Address = 10.0.0.1/24, fd00::1/64
ListenPort = 51820

[Peer]
PublicKey = ${us.publicKey}
AllowedIPs = 10.0.0.0/24, fd00::/64
`;

/** It contains no key, port and mark: a hook, the system and `up` set them. */
const file = (lines: string, allowedIps: string) =>
  `[Interface]
PreUp = wg set %i private-key /run/lab/key
Address = 10.0.0.2/24
${lines}
[Peer]
PublicKey = ${them.publicKey}
Endpoint = 192.0.2.1:51820
AllowedIPs = ${allowedIps}
`;

const STEPS: Record<string, string> = {
  "more networks": file("", "10.0.0.0/24, 10.7.0.0/16, fd00::/64"),
  "another address, of both families": file("Address = 10.0.9.2/24, fd00::2/64", "10.0.0.0/24, fd00::/64"),
  "an MTU": file("MTU = 1300", "10.0.0.0/24"),
  "everything": file("", "0.0.0.0/0, ::/0"),
  "everything, with one more address": file("Address = 10.0.9.2/32", "0.0.0.0/0, ::/0"),
  "less again, and one more peer": `${
    file("", "10.0.0.0/24")
  }\n[Peer]\nPublicKey = ${other.publicKey}\nAllowedIPs = 10.5.0.0/16\n`,
  "a table of its own": file("Table = 77", "10.0.0.0/24, 10.9.0.0/16"),
  "as at first": file("", "10.0.0.0/24"),
};

async function hosts() {
  const network = await Network.create("far", "near", "twin");
  const [far, near, twin] = network.hosts;
  await connect(
    { host: far, name: "eth0", addresses: ["192.0.2.1/24"] },
    { host: near, name: "eth0", addresses: ["192.0.2.2/24"] },
  );
  await twin.sh(`
    ip link add eth0 type veth peer name other; ip link set eth0 up; ip link set other up netns 1 2>/dev/null || ip link set other up
    ip address add 192.0.2.2/24 dev eth0`);
  for (const host of [near, twin]) {
    await host.sh("umask 077; cat > /run/lab/key", { stdin: us.privateKey });
  }
  await write(far, server);
  await quick(far, "up");
  return { network, near, twin };
}

const write = (host: Host, text: string) => host.sh(`umask 077; cat > ${FILE}`, { stdin: text });

async function quick(host: Host, action: string): Promise<string> {
  const { code, stderr } = await host.run([...wgd, "quick", action, FILE]);
  equal(code, 0, stderr);
  return stderr;
}

/** What the file has to do with: rules are numbered as they come, and the other link is not compared. */
async function comparable(host: Host): Promise<Record<string, unknown>> {
  const { rules, wireguard, links, ...rest } = await systemState(host);
  return {
    ...rest,
    links: links!.split("\n").filter((line) => line.startsWith("wg0")),
    rules: rules!.replace(/^\d+/gm, "").split("\n").sort(),
    wireguard: wireguard!.split("\n").map((line) => line.split("\t").slice(0, 4)).sort(),
  };
}

await rootTest("reload has the same result as a fresh up of the file, and no ping is lost", {
  programs: PROGRAMS,
}, async () => {
  const { network, near, twin } = await hosts();
  await using _network = network;
  await near.sh("sysctl -q net.ipv4.conf.all.src_valid_mark=1");
  await twin.sh("sysctl -q net.ipv4.conf.all.src_valid_mark=1");
  await write(near, file("", "10.0.0.0/24"));
  await quick(near, "up");
  await near.sh("ping -qc 1 -W 5 10.0.0.1");
  const before = await near.sh("wg show wg0 latest-handshakes; wg show wg0 listen-port");
  const pings = await PingStream.start(near, "10.0.0.1");
  for (const [what, text] of Object.entries(STEPS)) {
    await write(near, text);
    await quick(near, "reload");
    await write(twin, text);
    await quick(twin, "up");
    const fresh = await comparable(twin);
    await quick(twin, "down");
    deepEqual({ what, ...await comparable(near) }, { what, ...fresh });
    equal(await quick(near, "reload"), "", "a second reload has nothing to do");
  }
  equal(
    await near.sh("wg show wg0 latest-handshakes; wg show wg0 listen-port"),
    before,
    "the session was not replaced",
  );
  deepEqual((await pings.stop()).lost, []);
  await quick(near, "down");
});

await rootTest("a failed reload changes nothing, and status shows the difference", {
  programs: PROGRAMS,
}, async () => {
  const { network, near } = await hosts();
  await using _network = network;
  await write(near, file("Table = off", "10.0.0.0/24"));
  await quick(near, "up");
  const before = await comparable(near);
  const status = async () => (await near.run([...wgd, "quick", "status", "wg0"])).stdout;
  match(
    await status(),
    /^wg0: up \(wgd\), since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC, by \/run\/lab\/wg0\.conf\n$/,
  );

  await write(near, file("Address = 10.0.9.2/24\nTable = nonsense", "10.0.0.0/24, 10.8.0.0/16"));
  match(
    await status(),
    /would do:\n(?: {4}\[#\] .*\n)*? {4}\[#\] ip -4 address add 10\.0\.9\.2\/24 dev wg0\n/,
  );
  match(
    await status(),
    /"wgd quick reload \/run\/lab\/wg0\.conf" would do:\n/,
    "the command that status shows works",
  );
  const failed = await near.run([...wgd, "quick", "reload", FILE]);
  equal(failed.code === 0, false, failed.stderr);
  deepEqual(await comparable(near), before);

  await write(near, "[Interface]\nAdress = 1\n");
  match(await status(), /cannot be compared: Line unrecognized/);
  equal((await near.run([...wgd, "quick", "reload", FILE])).code, 1);
  deepEqual(await comparable(near), before);
  const json = JSON.parse((await near.run([...wgd, "quick", "status", "--json"])).stdout);
  equal(json.interfaces[0].name, "wg0");
  equal(json.interfaces[0].state, "up");
  await quick(near, "down");
  equal(await status(), "");
});

/** An nft that kills the process with a given number, at its call number `at`: before or after it has done its work. */
const killer = (at: number, when: "before" | "after") =>
  `#!/bin/sh
n=$(($(cat /run/lab/calls) + 1)); echo $n > /run/lab/calls
[ $n = ${at} ] || exec "$REAL_NFT" "$@"
${when === "after" ? '"$REAL_NFT" "$@"' : ""}
kill -9 $(cat /run/lab/victim)
`;

await rootTest("after a reload that was killed at any point, the next one completes it", {
  programs: PROGRAMS,
}, async () => {
  const { network, near, twin } = await hosts();
  await using _network = network;
  const resolver = "nameserver 192.0.2.99\n";
  for (const host of [near, twin]) {
    await host.ownEtc(resolver);
    await host.sh("mkdir /run/lab/bin; sysctl -q net.ipv4.conf.all.src_valid_mark=1");
  }
  const state = async (host: Host) => ({
    ...await comparable(host),
    resolver: await host.sh("cat /etc/resolv.conf"),
  });
  const everything = (lines: string) => file(lines, "0.0.0.0/0, ::/0");
  const changed = everything("DNS = 10.0.0.54\nAddress = 10.0.9.2/24");
  await write(twin, changed);
  await quick(twin, "up");
  const expected = await state(twin);
  const before = await state(near);
  for (const at of [1, 2]) {
    for (const when of ["before", "after"] as const) {
      const place = `${when} call ${at} of nft`;
      await write(near, everything("DNS = 10.0.0.53"));
      await quick(near, "up");
      await write(near, changed);
      await near.sh("cat > /run/lab/bin/nft; chmod 755 /run/lab/bin/nft; echo 0 > /run/lab/calls", {
        stdin: killer(at, when),
      });
      const killed = await near.sh(`
        export REAL_NFT=$(command -v nft)
        (sh -c 'echo $PPID' > /run/lab/victim; PATH=/run/lab/bin:$PATH exec ${
        wgd.join(" ")
      } quick reload ${FILE}) 2>&1 || echo $?`);
      match(killed, /^137$/m, place);
      await near.sh("rm /run/lab/bin/nft");
      await quick(near, "reload");
      deepEqual(await state(near), expected, place);
      equal(await quick(near, "reload"), "", "a second reload has nothing to do");
      await quick(near, "down");
      deepEqual(await state(near), before, place);
    }
  }
});

for (
  const [what, killed, after] of [
    ["after a killed one", true, file("", "0.0.0.0/0, ::/0")],
    [
      "that removes a family's last address",
      false,
      file("", "0.0.0.0/0").replace("10.0.0.2/24", "fd00::2/64"),
    ],
  ] as const
) {
  await rootTest(`a reload ${what}, which then fails, changes nothing`, { programs: PROGRAMS }, async () => {
    const { network, near } = await hosts();
    await using _network = network;
    await near.sh("sysctl -q net.ipv4.conf.all.src_valid_mark=1");
    const clean = await comparable(near);
    await write(near, file("", killed ? "0.0.0.0/0, ::/0" : "0.0.0.0/0"));
    await quick(near, "up");
    const before = await comparable(near);
    // What a killed reload leaves on record, at the latest: all of it is done.
    if (killed) await near.sh(`sed -i 's/}$/,"reloading":true}/' /run/wgd/wg0@*.json`);
    await write(near, after);
    await near.sh("mkdir -p /run/lab/bin; cat > /run/lab/bin/ip; chmod 755 /run/lab/bin/ip", {
      stdin: `#!/bin/sh
case "$*" in *"route replace"*) [ -e /run/lab/once ] || { touch /run/lab/once; echo refused >&2; exit 2; };; esac
exec "$REAL_IP" "$@"
`,
    });
    const said = await near.sh(`
      export REAL_IP=$(command -v ip)
      PATH=/run/lab/bin:$PATH ${wgd.join(" ")} quick reload ${FILE} 2>&1 || echo "ended with $?"`);
    match(said, /^refused$[^]*^ended with 2$/m);
    deepEqual(await comparable(near), before, said);
    await quick(near, "reload");
    await quick(near, "down");
    deepEqual(await comparable(near), clean);
  });
}

/** All that `wg` shows, and the system, but for counters. */
async function everythingOf(host: Host): Promise<Record<string, unknown>> {
  const dump = await host.sh("wg show wg0 dump");
  const fields = dump.split("\n").map((line) =>
    line.split("\t").filter((_, column) => column < 4 || column > 6)
  );
  const { wireguard: _, ...system } = await systemState(host);
  return { ...system, dump: fields.map((line) => line.join(" ")).sort() };
}

/** Part by part, so that a message shows what differs. */
async function isAsBefore(host: Host, before: Record<string, unknown>): Promise<void> {
  const now = await everythingOf(host);
  for (const part of Object.keys(before)) deepEqual({ [part]: now[part] }, { [part]: before[part] });
}

const extra = generateKeys();
const HOOKS = `PostUp = wg genpsk > /run/lab/psk; wg set %i peer ${them.publicKey} preshared-key /run/lab/psk
PostUp = wg set %i peer ${extra.publicKey} allowed-ips 10.6.0.0/16 persistent-keepalive 7
PostUp = wg set %i fwmark 0x77
PostUp = ip link set mtu 1333 dev %i`;

await rootTest("reload of an unchanged file changes nothing that hooks and operators have set", {
  programs: PROGRAMS,
}, async () => {
  const { network, near } = await hosts();
  await using _network = network;
  await write(near, file(HOOKS, "10.0.0.0/24, 10.7.0.0/16"));
  await quick(near, "up");
  await near.sh(`wg set wg0 peer ${other.publicKey} allowed-ips 10.5.0.0/16 endpoint 192.0.2.9:1`);
  const before = await everythingOf(near);
  equal(await quick(near, "reload"), "");
  await isAsBefore(near, before);
  equal(
    (await near.run([...wgd, "quick", "status"])).stdout.split("\n").length,
    2,
    "status shows no difference",
  );

  // What was removed from the file is undone, what it contains now is set, and the rest stays.
  await write(near, file(`${HOOKS}\nListenPort = 7777`, "10.0.0.0/24, 10.8.0.0/16"));
  match(await quick(near, "reload"), /^\[#\] wg set wg0 listen-port 7777$/m);
  const dump = await near.sh("wg show wg0 dump");
  match(dump, /\t7777\t0x77$/m);
  match(dump, new RegExp(`^${RegExp.escape(extra.publicKey)}\t.*\t10\\.6\\.0\\.0/16\t.*\t7$`, "m"));
  match(dump, new RegExp(`^${RegExp.escape(other.publicKey)}\t`, "m"));
  match(
    dump,
    new RegExp(`^${RegExp.escape(them.publicKey)}\t[^(].*\t10\\.0\\.0\\.0/24,10\\.8\\.0\\.0/16\t`, "m"),
  );
  equal(await quick(near, "reload"), "");
  await write(near, file(HOOKS, "10.0.0.0/24").replace(/\[Peer\][^]*/, ""));
  match(
    await quick(near, "reload"),
    new RegExp(`^\\[#\\] wg set wg0 peer ${RegExp.escape(them.publicKey)} remove$`, "m"),
  );
  const peers = await near.sh("wg show wg0 peers");
  deepEqual(new Set(peers.trim().split("\n")), new Set([extra.publicKey, other.publicKey]));
  await quick(near, "down");
});

await rootTest("a reload restores settings of the file that another program changed", {
  programs: PROGRAMS,
}, async () => {
  const { network, near } = await hosts();
  await using _network = network;
  const text =
    file(`PrivateKey = ${us.privateKey}\nListenPort = 7777\nFwMark = 0x10`, "10.0.0.0/24, 10.7.0.0/16") +
    "PersistentKeepalive = 25\n" +
    `[Peer]\nPublicKey = ${other.publicKey}\nPresharedKey = ${extra.privateKey}\nAllowedIPs = 10.5.0.0/16\n`;
  await write(near, text);
  await quick(near, "up");
  const before = await everythingOf(near);
  await near.sh("umask 077; wg genkey > /run/lab/other");
  await near.sh(`wg set wg0 listen-port 8888 fwmark 0x20 private-key /run/lab/other \\
    peer ${other.publicKey} remove peer ${them.publicKey} persistent-keepalive 3 allowed-ips 10.0.0.0/24`);
  const said = await quick(near, "reload");
  match(said, /private-key \(hidden\)/);
  await isAsBefore(near, before);
  equal(await quick(near, "reload"), "");
});

await rootTest("no secret is in the record of up", { programs: PROGRAMS }, async () => {
  const { network, near } = await hosts();
  await using _network = network;
  await write(
    near,
    `${file(`PrivateKey = ${us.privateKey}`, "10.0.0.0/24")}PresharedKey = ${extra.privateKey}\n`,
  );
  await quick(near, "up");
  for (const again of [false, true]) {
    if (again) await quick(near, "reload");
    const record = await near.sh("cat /run/wgd/wg0@*.json; stat -c ' %a' /run/wgd/wg0@*.json");
    match(record, /"applied"/);
    match(record, / 600$/m);
    for (const secret of [us.privateKey, extra.privateKey]) equal(record.includes(secret), false);
  }
});

await rootTest(
  "a reload works with a record of the previous version",
  { programs: PROGRAMS },
  async () => {
    const { network, near } = await hosts();
    await using _network = network;
    await near.sh("sysctl -q net.ipv4.conf.all.src_valid_mark=1");
    const clean = await comparable(near);
    await write(
      near,
      file(HOOKS, "0.0.0.0/0") + `[Peer]\nPublicKey = ${other.publicKey}\nAllowedIPs = 10.5.0.0/16\n`,
    );
    await quick(near, "up");
    await near.sh(
      "sed -i 's/,\"remembered\":{.*}}$/}/' /run/wgd/wg0@*.json; ! grep remembered /run/wgd/wg0@*.json",
    );
    // A peer that was removed from the file is removed, and a preshared key of a hook stays.
    await write(near, file(HOOKS, "0.0.0.0/0"));
    await quick(near, "reload");
    equal(await near.sh("wg show wg0 peers"), `${them.publicKey}\n`);
    equal(/none/.test(await near.sh("wg show wg0 preshared-keys")), false);
    equal(await quick(near, "reload"), "");
    await quick(near, "down");
    deepEqual(await comparable(near), clean);
  },
);
