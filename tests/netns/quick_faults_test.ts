/**
 * `wgd quick` and `wgd peer` on a machine that is full, read-only, slow or unusual: the output, and what is left
 * behind.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { eventually } from "./lab/exec.ts";
import { Host } from "./lab/host.ts";
import { generateKeys } from "./lab/keys.ts";
import { rootTest } from "./lab/rooted.ts";
import { systemState } from "./lab/system_state.ts";
import { wgdCommand, wgdCommandAs } from "./lab/tunnel.ts";

const wgd = wgdCommand();
const PROGRAMS = ["wg", "wg-quick", "nft"];
const [us, peer] = [generateKeys(), generateKeys()];
const FOLDER = "/etc/wireguard";
const FILE = `${FOLDER}/wg0.conf`;
const head = `[Interface]\nPrivateKey = ${us.privateKey}\nAddress = 10.0.0.1/24\nListenPort = 51820\n`;
const anna = `\n# Name = Anna\n[Peer]\nPublicKey = ${peer.publicKey}\nAllowedIPs = 10.0.0.2/32\n`;

/** A host whose /etc/wireguard is a small disk of its own. */
async function machine(): Promise<Host> {
  const host = await Host.create("client");
  await host.sh(`mount -t tmpfs -o size=256k,mode=700 tmpfs ${FOLDER}`);
  return host;
}

const write = (host: Host, text: string, file = FILE) =>
  host.sh(`umask 077; cat > '${file}'`, { stdin: text });
const call = (host: Host, ...args: string[]) => host.run([...wgd, ...args]);

/** Runs a command that must fail. Its output must contain no stack and no secret. */
async function refused(host: Host, ...args: string[]): Promise<string> {
  const { code, stderr } = await call(host, ...args);
  equal(code, 1, stderr);
  ok(!/\bat .*:\d+:\d+|os error/.test(stderr), stderr);
  ok(!stderr.includes(us.privateKey), stderr);
  return stderr.replace(/^\[#\] .*\n/gm, "");
}

/** Everything in the folder. */
const files = async (host: Host) =>
  await host.sh(`cd ${FOLDER}; for f in *; do echo "== $f"; cat "$f"; done`);

await rootTest("a full disk loses neither the old file nor the state", { programs: PROGRAMS }, async () => {
  await using host = await machine();
  const full = `dd if=/dev/zero of=${FOLDER}/.fill bs=1k status=none 2>/dev/null || true`;
  const full_hint =
    /^wgd: Could not write configuration file\nhint: \S*wg0\.conf: No space left on device; the file is as it was/;
  await write(host, head + anna);
  equal((await call(host, "quick", "up", "wg0")).code, 0);
  await host.sh(`wg set wg0 peer ${generateKeys().publicKey} allowed-ips 10.0.0.9/32`);
  await host.sh(full);
  const [before, state] = [await files(host), await systemState(host)];

  match(await refused(host, "quick", "save", "wg0"), full_hint);
  const cannotWrite = /^wgd: cannot write "[^"]+\.conf": No space left on device\n/;
  const addBert = (output: string) =>
    refused(host, "peer", "add", "wg0", "Bert", "--endpoint", "vpn.example", "--output", output);
  match(await addBert("/run/lab/Bert.conf"), cannotWrite);
  equal(await host.sh("ls /run/lab/Bert.conf 2>/dev/null || true"), "");
  match(await addBert(`${FOLDER}/B.conf`), cannotWrite);
  match(await refused(host, "peer", "remove", "wg0", "Anna"), cannotWrite);
  equal(await files(host), before);
  deepEqual(await systemState(host), state);

  // The original prints the same, but names the file in another way.
  const original = await host.run(["wg-quick", "save", "wg0"]);
  equal(original.code, 1);
  match(original.stderr, /wg-quick: Could not (write|move) configuration file/);
  await host.sh(`rm ${FOLDER}/.fill`);

  await write(host, `SaveConfig = true\n${head}`.replace(/^(.*)\n(.*)\n/, "$2\n$1\n") + anna);
  await call(host, "quick", "reload", "wg0");
  await host.sh(`wg set wg0 peer ${generateKeys().publicKey} allowed-ips 10.0.0.10/32; ${full}`);
  const [saving, running] = [await files(host), await systemState(host)];
  match(await refused(host, "quick", "down", "wg0"), full_hint);
  equal(await files(host), saving);
  deepEqual(await systemState(host), running, "the interface is unchanged");
  await host.sh(`rm ${FOLDER}/.fill`);
  equal((await call(host, "quick", "down", "wg0")).code, 0);
  equal(
    (await host.sh(`grep -c '^\\[Peer\\]' ${FILE}`)).trim(),
    "3",
    "the file has both peers that were added by hand, after a reload too",
  );
  equal(await host.sh(`ls -A ${FOLDER}`), "wg0.conf\n");
});

await rootTest("a full /run and a read-only /etc are reported, and all steps are undone", {
  programs: PROGRAMS,
}, async () => {
  await using host = await machine();
  await write(host, head + anna);
  const before = await systemState(host);
  await host.sh(
    "mkdir -p -m 700 /run/wgd; mount -t tmpfs -o size=8k,mode=700 tmpfs /run/wgd; head -c 8192 /dev/zero > /run/wgd/fill || true",
  );
  match(await refused(host, "quick", "up", "wg0"), /No space left on device/);
  deepEqual(await systemState(host), before);
  await host.sh("umount /run/wgd");

  equal((await call(host, "quick", "up", "wg0")).code, 0);
  await host.sh(
    `wg set wg0 peer ${generateKeys().publicKey} allowed-ips 10.0.0.9/32; mount -o remount,ro ${FOLDER}`,
  );
  match(
    await refused(host, "quick", "save", "wg0"),
    /^wgd: Could not write configuration file\nhint: \S*wg0\.conf: Read-only file system;/,
  );
  match(
    await refused(host, "peer", "remove", "wg0", "Anna"),
    /^wgd: cannot write "\/etc\/wireguard\/wg0\.conf": Read-only/,
  );
  equal((await call(host, "quick", "down", "wg0")).code, 0);
  deepEqual(await systemState(host), before);
});

await rootTest("a file of another kind is reported as what it is", { programs: PROGRAMS }, async () => {
  await using host = await machine();
  await host.sh(`
    cd ${FOLDER}; mkdir dir.conf; ln -s /dev/zero zero.conf; ln -s /nowhere gone.conf; ln -s loop.conf loop.conf
    echo '[Interface]' | tee 'a b.conf' > 0123456789abcdef.conf`);
  const socket = await host.start(["ncat", "-lU", `${FOLDER}/sock.conf`]);
  await eventually("the socket", () => host.sh(`test -S ${FOLDER}/sock.conf && echo yes`));
  const invalid = "The config file must be a valid interface name, followed by .conf";
  // The original's message, if it has a useful one.
  const shared: [target: string, message: string][] = [
    [`${FOLDER}/0123456789abcdef.conf`, invalid],
    [`${FOLDER}/a b.conf`, invalid],
    [`${FOLDER}/gone.conf`, `\`${FOLDER}/gone.conf' does not exist`],
    [`${FOLDER}/loop.conf`, `\`${FOLDER}/loop.conf' does not exist`],
    ["nosuch", `\`${FOLDER}/nosuch.conf' does not exist`],
    ["..", `\`${FOLDER}/...conf' does not exist`],
    ["a/b", "`a/b' does not exist"],
    ["../x.conf", "`../x.conf' does not exist"],
    ["0123456789abcdefg", "`0123456789abcdefg' does not exist"],
  ];
  for (const action of ["up", "strip"]) {
    for (const [target, message] of shared) {
      const [ours] = (await refused(host, "quick", action, target)).split("\n");
      const theirs = (await host.run(["wg-quick", action, target])).stderr.trim();
      deepEqual([ours, theirs], [`wgd: ${message}`, `wg-quick: ${message}`]);
    }
    // A file with that name exists and could name its interface, but the original does not look for it.
    match(await refused(host, "quick", action, "0123456789abcdef"), new RegExp(`^wgd: ${invalid}\nhint: `));
    const say = async (target: string) => await refused(host, "quick", action, `${FOLDER}/${target}`);
    equal(await say("dir.conf"), `wgd: \`${FOLDER}/dir.conf' is a directory\n`);
    equal(await say("sock.conf"), `wgd: cannot read "${FOLDER}/sock.conf": No such device or address\n`);
    equal(
      await say("zero.conf"),
      `wgd: cannot read "${FOLDER}/zero.conf": it is larger than 64 MiB, so it is not a configuration\n`,
    );
  }
  await socket.signal("KILL");
  equal(await host.sh("ls /run/wireguard 2>/dev/null || true"), "");
  const unreadable = await host.run([...await wgdCommandAs(65534, host), "quick", "check", FILE]);
  equal(unreadable.code, 1);
  match(unreadable.stderr, /wg0\.conf' does not exist|Permission denied/);
});

await rootTest("pipes, one line of a megabyte, and a megabyte of lines are read", {
  programs: PROGRAMS,
}, async () => {
  await using host = await machine();
  await host.sh(`mkfifo ${FOLDER}/pipe.conf`);
  const writer = await host.start(["sh", "-c", `printf '%s' '${head}' > ${FOLDER}/pipe.conf`]);
  equal((await call(host, "quick", "up", `${FOLDER}/pipe.conf`)).code, 0);
  await writer.ended;
  equal((await call(host, "quick", "down", "pipe")).code, 0);

  const long = "x".repeat(1 << 20);
  await host.sh(`mkdir -m 700 /run/lab/etc`);
  const file = "/run/lab/etc/big.conf";
  await write(host, `${head}# ${long}\n${`# a comment\n`.repeat(100_000)}`, file);
  equal((await call(host, "quick", "up", file)).code, 0);
  equal((await call(host, "quick", "down", file)).code, 0);
  await write(host, `${head}Adress = ${long}\n`, file);
  const { code, stderr } = await call(host, "quick", "up", file);
  equal(code, 1);
  match(stderr, /hint: \/run\/lab\/etc\/big\.conf:5: Adress: .*did you mean Address/);
  // As in the original, the message quotes the line. The lines that wgd adds do not.
  ok(stderr.split("\n").filter((line) => line.startsWith("hint: ")).join("").length < 500);
});

await rootTest("a file keeps its bytes when it is saved: Latin-1, CRLF and a byte order mark", {
  programs: PROGRAMS,
}, async () => {
  await using host = await machine();
  const latin1 = (text: string) => `printf '${text.replaceAll("%", "%%")}' > ${FILE}; chmod 600 ${FILE}`;
  const crlf = head.replaceAll("\n", "\\r\\n");
  await host.sh(latin1(`\\357\\273\\277${crlf}# Caf\\351\\r\\n`));
  equal((await call(host, "quick", "up", "wg0")).code, 0);
  await host.sh(`wg set wg0 peer ${peer.publicKey} allowed-ips 10.0.0.2/32`);
  equal((await call(host, "quick", "save", "wg0")).code, 0);
  equal(
    (await call(
      host,
      "peer",
      "add",
      "wg0",
      "Bert",
      "--endpoint",
      "vpn.example",
      "--output",
      "/run/lab/B.conf",
    )).code,
    0,
  );
  const bytes = await Deno.readFile(host.path(FILE));
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  ok(text.startsWith(`\xef\xbb\xbf${head.replaceAll("\n", "\r\n")}# Caf\xe9\r\n`), JSON.stringify(text));
  ok(!/[^\r]\n/.test(text));
  equal(text.match(/\[Peer\]/g)?.length, 2);
  const stripped = await new Deno.Command("nsenter", {
    args: host.enter([...wgd, "quick", "strip", "wg0"]).slice(1),
  }).output();
  ok(stripped.stdout.includes(0xe9), "strip prints the file's bytes");
  equal((await call(host, "quick", "down", "wg0")).code, 0);
});

/** A file whose hooks leave a trace. */
const hooked = (lines: string) => `${head}${lines}\n${anna}`;

await rootTest("a failed hook ends up with the hook's exit code, and earlier steps are undone", {
  programs: PROGRAMS,
}, async () => {
  await using host = await machine();
  const before = await systemState(host);
  for (const line of ["PreUp = exit 7", "PostUp = true; (exit 7)", "PostUp = echo no >&2; exit 7"]) {
    await write(host, hooked(line));
    const ours = await call(host, "quick", "up", "wg0");
    equal(ours.code, 7, ours.stderr);
    match(ours.stderr, /^\[#\] ip link delete dev wg0$/m);
    deepEqual(await systemState(host), before);
  }
  // If a hook of down fails, the interface stays for a second attempt.
  await write(host, hooked("PreDown = test -e /run/lab/ready"));
  equal((await call(host, "quick", "up", "wg0")).code, 0);
  equal((await call(host, "quick", "down", "wg0")).code, 1);
  equal((await host.sh("wg show interfaces")).trim(), "wg0");
  await host.sh("touch /run/lab/ready");
  equal((await call(host, "quick", "down", "wg0")).code, 0);
  deepEqual(await systemState(host), before);
});

await rootTest("down --force continues if a hook fails and a file cannot be saved", {
  programs: PROGRAMS,
}, async () => {
  await using host = await machine();
  const before = await systemState(host);
  await write(host, hooked("SaveConfig = true\nPreDown = exit 7\nPostDown = exit 8"));
  equal((await call(host, "quick", "up", "wg0")).code, 0);
  await host.sh(`wg set wg0 peer ${generateKeys().publicKey} allowed-ips 10.0.0.9/32`);
  await host.sh(`mount -o remount,ro ${FOLDER}`);
  const down = await call(host, "quick", "down", "wg0");
  equal(down.code, 7, down.stderr);
  match(
    down.stderr,
    /^hint: the hook "exit 7" .*; the interface is still up; .*: wgd quick down wg0 --force$/m,
  );
  equal((await host.sh("wg show interfaces")).trim(), "wg0");
  const forced = await call(host, "quick", "down", "wg0", "--force");
  equal(forced.code, 0, forced.stderr);
  match(forced.stderr, /^Warning: "exit 7" failed with exit code 7; continuing without it$/m);
  match(forced.stderr, /^Warning: Could not write configuration file.*; continuing without it$/m);
  match(forced.stderr, /^Warning: "exit 8" failed with exit code 8; continuing without it$/m);
  deepEqual(await systemState(host), before);
  equal(await host.sh("ls /run/wgd | grep json || true"), "");

  // Of an interface that wg-quick brought up, too.
  await host.sh(`mount -o remount,rw ${FOLDER}`);
  await write(host, hooked("PreDown = exit 7"));
  await host.sh(`cat > /run/lab/wgd; chmod 755 /run/lab/wgd`, {
    stdin: `#!/bin/sh\nexec ${wgd.join(" ")} run "$1"\n`,
  });
  await host.sh("WG_QUICK_USERSPACE_IMPLEMENTATION=/run/lab/wgd wg-quick up wg0 2>/dev/null");
  equal((await call(host, "quick", "down", "wg0")).code, 7);
  equal((await call(host, "quick", "down", "wg0", "--force")).code, 0);
  deepEqual(await systemState(host), before);
  equal((await call(host, "quick", "up", "wg0", "--force")).code, 1);
});

await rootTest(
  "a hook that hangs is ended by SIGTERM, SIGINT and SIGHUP, with what it started, and up is undone",
  {
    programs: PROGRAMS,
  },
  async () => {
    await using host = await machine();
    const before = await systemState(host);
    const hang = [
      "sleep 1111",
      "sleep 1111; echo on >> /run/lab/on",
      "trap '' TERM; sleep 1111 & wait; sleep 1111",
    ];
    for (
      const [script, signal] of [[hang[0], "TERM"], [hang[1], "TERM"], [hang[1], "INT"], [hang[1], "HUP"], [
        hang[2],
        "TERM",
      ]] as const
    ) {
      for (const key of ["PreUp", "PostUp"]) {
        await write(host, hooked(`${key} = ${script}`));
        const up = await host.start([...wgd, "quick", "up", "wg0"]);
        await eventually("the hook", () => host.sh("pgrep -x sleep"));
        await up.signal(signal);
        const { code } = await up.ended;
        equal(code, { TERM: 143, INT: 130, HUP: 129 }[signal], up.output());
        match(up.output(), /wgd: interrupted; everything was undone\n$/);
        equal(await host.sh("pgrep -x sleep || true"), "", `${key} = ${script}`);
        equal(await host.sh("cat /run/lab/on 2>/dev/null || true"), "");
        deepEqual(await systemState(host), before);
      }
    }
    // Before the first step there is nothing to undo, and nothing waits for a pipe without a writer.
    await host.sh(`mkfifo ${FOLDER}/pipe.conf`);
    const waiting = await host.start([...wgd, "quick", "up", `${FOLDER}/pipe.conf`]);
    await new Promise((resolve) => setTimeout(resolve, 500));
    await waiting.signal("INT");
    equal((await waiting.ended).code, 130);
  },
);

await rootTest(
  "down that hangs in a hook can be interrupted and called again",
  { programs: PROGRAMS },
  async () => {
    await using host = await machine();
    const before = await systemState(host);
    await write(host, hooked("PreDown = test -e /run/lab/ready || sleep 1111"));
    equal((await call(host, "quick", "up", "wg0")).code, 0);
    const down = await host.start([...wgd, "quick", "down", "wg0"]);
    await eventually("the hook", () => host.sh("pgrep -x sleep"));
    await down.signal("TERM");
    equal((await down.ended).code, 143);
    match(down.output(), /wgd: interrupted; call it again to undo the rest\n$/);
    await host.sh("touch /run/lab/ready");
    equal((await call(host, "quick", "down", "wg0")).code, 0);
    deepEqual(await systemState(host), before);
  },
);

await rootTest(
  "megabytes that hooks print are printed completely, each on its stream",
  { programs: PROGRAMS },
  async () => {
    await using host = await machine();
    await write(
      host,
      hooked("PostUp = head -c 3000000 /dev/zero | tr '\\0' o; head -c 2000000 /dev/zero | tr '\\0' e >&2"),
    );
    const { code, stdout, stderr } = await call(host, "quick", "up", "wg0");
    equal(code, 0);
    equal(stdout, "o".repeat(3_000_000));
    equal(/e{1000,}/.exec(stderr)?.[0].length, 2_000_000);
    equal((await call(host, "quick", "down", "wg0")).code, 0);
  },
);

await rootTest("NAME.conf may be an interface of that name", { programs: PROGRAMS }, async () => {
  await using host = await machine();
  await host.sh(`umask 077; cat > ${FOLDER}/foo.conf.conf`, { stdin: head });
  const call = (action: string) => host.sh(`cd / && ${wgd.join(" ")} quick ${action} foo.conf`);
  await call("up");
  equal(await host.sh("ls /sys/class/net | grep foo"), "foo.conf\n");
  await call("down");
  equal(await host.sh("ls /sys/class/net | grep foo || true"), "");
});

await rootTest("after nsenter --net, with another namespace's /sys, everything works", {
  programs: PROGRAMS,
}, async () => {
  await using host = await machine();
  await host.sh(`
    ip link add eth0 mtu 1300 type veth peer name eth1
    ip address add 192.0.2.1/24 dev eth0; ip link set eth0 up; ip link set eth1 up
    mount -t tmpfs none /sys; mkdir -p /sys/class/net/eth0; echo 9000 > /sys/class/net/eth0/mtu`);
  for (const link of ["eth0", "eth1"]) {
    const isUp = async () => / state UP /.test(await host.ok("ip", "link", "show", link));
    await eventually(`${link} to be up`, isUp, { within: 30_000 });
  }
  const before = await systemState(host);
  await write(host, `${head}${anna}Endpoint = 192.0.2.2:1\n`);
  equal((await call(host, "quick", "up", "wg0")).code, 0);
  match(await host.ok("ip", "link", "show", "wg0"), / mtu 1220 /);
  match(await host.ok(...wgd, "quick", "status"), /^wg0: up \(wgd\), /m);
  match(await refused(host, "quick", "up", "wg0"), /`wg0' already exists/);
  equal((await call(host, "quick", "down", "wg0")).code, 0);
  deepEqual(await systemState(host), before);
});
