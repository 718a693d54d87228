/**
 * `# wgd: Repair = on`: what other programs remove is restored at once, until they remove it repeatedly. The manual says
 * "within a second". That depends on the machine, so the tests do not measure it. They check that wgd acts because the
 * kernel reports the change, and not at its next regular check.
 *
 * @module
 */

import { doesNotMatch, equal, match, ok } from "node:assert/strict";
import { CHECK_INTERVAL } from "../../core/quick/watch.ts";
import { Host } from "./lab/host.ts";
import { generateKeys } from "./lab/keys.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const wgd = wgdCommand();
const PROGRAMS = ["nft"];
const FILE = "/run/lab/c.conf";
const [us, them] = [generateKeys(), generateKeys()];
const PLAIN =
  `[Interface]\nPrivateKey = ${us.privateKey}\nAddress = 10.7.0.2/24, fd07::2/64\nDNS = 10.7.0.1\n` +
  `[Peer]\nPublicKey = ${them.publicKey}\nEndpoint = 192.0.2.1:51820\nAllowedIPs = 0.0.0.0/0, ::/0\n`;
const REPAIRED = `# wgd: Repair = on\n${PLAIN}`;
/** Milliseconds that a repair may take. The next regular check comes later, since the last was a moment ago. */
const REPAIR_TIMEOUT = CHECK_INTERVAL / 2;
const BOTH_RULES =
  "ip rule delete not fwmark 51820 table 51820; ip rule delete table main suppress_prefixlength 0";

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

const status = (host: Host) => host.ok(...wgd, "quick", "status", "c");

/** Waits until the text of a command is as wanted. @returns The last text. */
async function until(ask: () => Promise<string>, wanted: (text: string) => boolean): Promise<string> {
  const start = performance.now();
  for (;;) {
    const text = await ask();
    if (wanted(text) || performance.now() - start > REPAIR_TIMEOUT) return text;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The number of the process, from the record. */
async function watcher(host: Host): Promise<number | undefined> {
  const record = await host.sh('cat /run/wgd/c@"$(stat -Lc %i /proc/self/ns/net)".json');
  return JSON.parse(record).repair?.pid;
}

/** Whether a process is running. A zombie is not. */
async function isAlive(host: Host, pid: number | undefined): Promise<string> {
  return (await host.sh(`grep -qs "^State:.[^ZX]" /proc/${pid}/status && echo yes || echo no`)).trim();
}

const state = `
  ip -4 rule show | sed 's/^[0-9]*//' | sort; ip -6 rule show | sed 's/^[0-9]*//' | sort
  ip -4 route show table all dev c | sort; ip -6 route show table all dev c | sort
  ip -o address show dev c scope global | sed 's/^[0-9]*//' | sort; cat /sys/class/net/c/mtu; ip link show dev c up | wc -l
  nft list ruleset; cat /etc/resolv.conf || true`;

const CASES: readonly (readonly [what: string, script: string, restored: RegExp])[] = [
  ["both rules of IPv4", BOTH_RULES, /the IPv4 rule that leads into the tunnel is gone .*: restored/],
  ["the link, down", "ip link set c down", /the interface is down: restored/],
  [
    "the routes, by a link that was set down and up",
    "ip link set c down; ip link set c up",
    /the route 0\.0\.0\.0\/0 of table 51820 is gone: restored/,
  ],
  ["the addresses", "ip address flush dev c", /the address fd07::2\/64 is gone: restored/],
  ["the MTU", "ip link set mtu 1300 dev c", /its MTU is 1300, not 1420: restored/],
  ["the firewall", "nft flush ruleset", /the firewall's table ip wg-quick-c is gone: restored/],
  ["/etc/resolv.conf", "rm /etc/resolv.conf", /\/etc\/resolv\.conf is gone: restored/],
];

await rootTest("repair: removed settings are restored", { programs: PROGRAMS }, async (context) => {
  await using host = await client(REPAIRED);
  const comparable = () => host.sh(state);
  const before = await comparable();
  match(await status(host), /Repair is on/);
  for (const [what, script, restored] of CASES) {
    await context.step(what, async () => {
      await host.sh(script);
      equal(await until(comparable, (text) => text === before), before);
      match(await until(() => status(host), (text) => restored.test(text)), restored);
      match(await status(host), /Repair is on\n/);
    });
  }
  equal((await host.run([...wgd, "doctor", "c"])).stdout.includes("Repair"), false);
  await context.step("nothing leaves in the clear once it is put back", async () => {
    await host.sh(BOTH_RULES);
    await until(comparable, (text) => text === before);
    match(await host.sh("ip route get 198.51.100.1"), /dev c /);
  });
  await context.step("down ends it, and nothing is restored", async () => {
    const pid = await watcher(host);
    await host.ok(...wgd, "quick", "down", FILE);
    equal(await isAlive(host, pid), "no");
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    equal(
      await host.sh("ip -4 rule show | wc -l; nft list ruleset; ls /run/wgd | grep '^c@.*json$' | wc -l"),
      "3\n0\n",
    );
    equal(await host.sh("cat /etc/resolv.conf"), "nameserver 192.0.2.53\n");
  });
});

await rootTest("repair: it gives up after repeated removals", { programs: PROGRAMS }, async () => {
  await using host = await client(REPAIRED);
  await host.sh(
    "for i in $(seq 300); do ip rule delete not fwmark 51820 table 51820 2>/dev/null || true; sleep 0.05; " +
      "grep -q gaveUp /run/wgd/c@$(stat -Lc %i /proc/self/ns/net).json && break; done",
  );
  match(await status(host), /Repair gave up: .* is gone/);
  const doctor = await host.run([...wgd, "doctor", "c"]);
  equal(doctor.code, 1);
  match(doctor.stdout, /^fail +Repair gave up: .*\n.*find the program that removes it/m);
  const reload = await host.run([...wgd, "quick", "reload", FILE]);
  equal(reload.code, 0, reload.stderr);
  match(await status(host), /Repair is on/);
  await host.ok(...wgd, "quick", "down", FILE);
});

await rootTest(
  "repair: status reports a killed process, and reload starts it again",
  { programs: PROGRAMS },
  async () => {
    await using host = await client(REPAIRED);
    const pid = await watcher(host);
    await host.ok("kill", "-KILL", String(pid));
    await until(() => status(host), (text) => /has ended/.test(text));
    match(
      await status(host),
      /Repair has ended: its process was killed; "wgd quick reload c" starts it again/,
    );
    const doctor = await host.run([...wgd, "doctor", "c"]);
    match(doctor.stdout, /^warn +Repair has ended: its process was killed\n.*wgd quick reload c$/m);
    equal(doctor.code, 0, "the end of Repair is only a warning");
    await host.ok(...wgd, "quick", "reload", FILE);
    match(await status(host), /Repair is on/);
    const second = await watcher(host);
    equal(second === pid, false);
    await host.ok(...wgd, "quick", "reload", FILE);
    equal(await watcher(host), second, "a reload starts no second process");
    await host.sh(`sed -i '/Repair/d' ${FILE}`);
    await host.ok(...wgd, "quick", "reload", FILE);
    equal(await watcher(host), undefined);
    equal(await isAlive(host, second), "no");
    await host.ok(...wgd, "quick", "down", FILE);
  },
);

await rootTest("repair: a reload waits for a repair, and a repair waits for a reload", {
  programs: PROGRAMS,
}, async () => {
  await using host = await client(REPAIRED);
  const before = await host.sh(state);
  // Reloads of an unchanged file, one after the other, while things are taken away.
  const reloads = host.sh(
    `for i in 1 2 3 4 5 6; do ${wgd.join(" ")} quick reload ${FILE} || exit 1; done`,
  );
  await host.sh(`for i in 1 2 3 4; do ${BOTH_RULES.replaceAll(";", " || true;")} || true; sleep 0.2; done`);
  await reloads;
  equal(await until(() => host.sh(state), (text) => text === before), before);
  // While the record is locked, the repair waits, and it is done afterwards.
  await host.sh(`
    exec 9>>/run/wgd/c@$(stat -Lc %i /proc/self/ns/net).lock; flock 9
    ip rule delete not fwmark 51820 table 51820; sleep 1.5; ! ip rule show | grep -q 'not from all'`);
  equal(await until(() => host.sh(state), (text) => text === before), before);
  match(await status(host), /Repair is on/);
  await host.ok(...wgd, "quick", "down", FILE);
});

await rootTest("repair: a kernel parameter, whose changes are not reported, is restored at the next check", {
  programs: PROGRAMS,
}, async () => {
  await using host = await client(REPAIRED);
  await host.sh("sysctl -q net.ipv4.conf.all.src_valid_mark=0");
  const start = performance.now();
  while ((await host.sh("sysctl -n net.ipv4.conf.all.src_valid_mark")) !== "1\n") {
    ok(performance.now() - start < 40_000, "it looks every 30 seconds");
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  match(await status(host), /src_valid_mark is 0, not 1: restored/);
  await host.ok(...wgd, "quick", "down", FILE);
});

await rootTest("repair: off by default; status shows that the file turns it on, and reload starts it", {
  programs: PROGRAMS,
}, async () => {
  await using host = await client(PLAIN);
  doesNotMatch(await status(host), /Repair/);
  equal(await watcher(host), undefined);
  await host.sh(`sed -i '1i # wgd: Repair = on' ${FILE}`);
  match(await status(host), /the file has changed.*would do:\n +\[#\] wgd quick watch c\n$/);
  match(
    (await host.run([...wgd, "quick", "reload", FILE, "--dry-run"])).stderr,
    /^\[#\] wgd quick watch c$/m,
  );
  await host.ok(...wgd, "quick", "reload", FILE);
  match(await status(host), /Repair is on\n$/);
  await host.sh(`sed -i '1d' ${FILE}`);
  match(await status(host), /\[#\] kill \d+\n$/);
  await host.ok(...wgd, "quick", "reload", FILE);
  await host.sh(BOTH_RULES);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  match(await status(host), /rule that leads into the tunnel is gone/);
  await host.ok(...wgd, "quick", "down", FILE);
});
