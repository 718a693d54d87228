/**
 * wgd with interfaces of the kernel's own module, compared with `wg`. It runs in a guest, because most machines that
 * run tests do not have the module.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { Beside, Command, Outcome } from "./lab/beside.ts";
import { eventually } from "./lab/exec.ts";
import { Guest } from "./lab/guest.ts";
import { bundle, imageWith, putWgd, WGD } from "./lab/guest_disk.ts";
import { Host } from "./lab/host.ts";
import {
  type Config,
  formatConfig,
  generateKeys,
  generatePresharedKey,
  type PeerConfig,
} from "./lab/keys.ts";
import { rootTest } from "./lab/rooted.ts";
import { peer } from "./peers/mod.ts";

const FILES = "/tests";
const [us, far, anna, bert] = [generateKeys(), generateKeys(), generateKeys(), generateKeys()];
const preshared = generatePresharedKey();

/** A server's thousand peers, and one whose allowed IPs do not fit one message. */
const many: PeerConfig[] = Array.from({ length: 1_000 }, (_, i) => ({
  publicKey: generateKeys().publicKey,
  allowedIps: i === 500
    ? Array.from({ length: 3_000 }, (_, i) => `172.16.${i >> 8}.${i & 255}/32`)
    : [`10.${i >> 8}.${i & 255}.0/24`, `10.${100 + (i >> 8)}.${i & 255}.1/32`, `fd00:${i.toString(16)}::/64`],
  presharedKey: i % 3 === 0 ? generatePresharedKey() : undefined,
  endpoint: [`192.0.2.${i % 250}:${1000 + i}`, `[2001:db8::${i.toString(16)}]:${1000 + i}`][i % 4],
  persistentKeepalive: i % 5 === 0 ? i + 1 : undefined,
}));
/**
 * Some are removed, some have other allowed IPs, keys and intervals, and one is new. (Debian 12's wg removes nothing.)
 */
const fewer: PeerConfig[] = [
  ...many.slice(20, 120).map((peer, i) => ({
    ...peer,
    ...(i % 4 === 1 && { allowedIps: [`10.200.${i}.0/24`] }),
    ...(i % 7 === 0 && { presharedKey: preshared, persistentKeepalive: 9 }),
  })),
  { publicKey: anna.publicKey, allowedIps: ["10.0.0.0/8"] },
];
const files: Record<string, string> = {
  "many.conf": formatConfig({ privateKey: us.privateKey, listenPort: 51820, fwmark: 7, peers: many }),
  "fewer.conf": formatConfig({ privateKey: us.privateKey, listenPort: 51821, peers: fewer }),
  "added.conf": formatConfig({
    peers: [{ publicKey: bert.publicKey, allowedIps: ["10.0.0.0/24", "fd01::/16"] }],
  }),
  "keyless.conf": formatConfig({ listenPort: 51822, peers: [] }),
  "broken.conf": "[Peer]\nAllowedIPs = 10.0.0.0/8\n",
  "quick.conf": formatConfig({
    privateKey: us.privateKey,
    quick: ["Address = 10.30.0.1/24", "# A comment"],
    peers: [{ publicKey: anna.publicKey, allowedIps: ["10.40.0.0/16"] }],
  }),
  "private": us.privateKey,
  "other": far.privateKey,
  "preshared": preshared,
};

/** An interface with a session, and peers of every kind. */
const shown: Config = {
  privateKey: us.privateKey,
  listenPort: 51900,
  fwmark: 0xca6c,
  peers: [
    { publicKey: anna.publicKey, allowedIps: [] },
    {
      publicKey: far.publicKey,
      allowedIps: ["10.0.0.0/8", "10.1.2.3/32", "fd00::/8", "::/0", "0.0.0.0/0"],
      presharedKey: preshared,
      endpoint: "127.0.0.1:51901",
      persistentKeepalive: 65535,
    },
    { publicKey: bert.publicKey, allowedIps: ["fd77::1/128"], endpoint: "[fe80::7%eth0]:7" },
  ],
};
const answering: Config = {
  privateKey: far.privateKey,
  listenPort: 51901,
  peers: [{ publicKey: us.publicKey, allowedIps: ["10.9.0.0/24"], presharedKey: preshared }],
};
const FIELDS = [
  ...["public-key", "private-key", "listen-port", "fwmark", "peers", "preshared-keys", "endpoints"],
  ...["allowed-ips", "latest-handshakes", "transfer", "persistent-keepalive", "dump", "nonsense"],
];

const commands = (lines: readonly string[]): Command[] => lines.map((line) => ({ words: line.split(" ") }));
/** Commands of `wg`. Each runs on the interface that the one before has left. */
const SHOW = [
  ...commands(["", "show", "show all", "show interfaces", "show all dump", "show shown", "showconf shown"]),
  ...commands(FIELDS.map((field) => `show shown ${field}`)),
  { words: ["show", "shown"], env: { WG_COLOR_MODE: "always", WG_HIDE_KEYS: "never" } },
].map(({ words, ...more }) => ({ words: words.filter((word) => word !== ""), ...more }));
const SET = commands([
  "set IF listen-port 51830 fwmark 0x2a private-key /tests/private",
  `set IF peer ${anna.publicKey}`,
  `set IF peer ${anna.publicKey} allowed-ips 10.0.0.1/24,10.5.0.0/16,fd00::1/64 endpoint 192.0.2.1:5`,
  `set IF peer ${bert.publicKey} preshared-key /tests/preshared persistent-keepalive 25 allowed-ips 10.5.0.0/16`,
  `set IF peer ${anna.publicKey} endpoint [2001:db8::7]:65535 persistent-keepalive 1`,
  `set IF peer ${bert.publicKey} endpoint [fe80::9%eth0]:9`,
  `set IF peer ${anna.publicKey} endpoint [::ffff:192.0.2.9]:9`,
  `set IF peer ${bert.publicKey} preshared-key /dev/null persistent-keepalive off`,
  `set IF peer ${anna.publicKey} remove`,
  `set IF peer ${anna.publicKey} remove`,
  `set IF peer ${bert.publicKey} remove peer ${bert.publicKey} allowed-ips 0.0.0.0/0,::/0`,
  `set IF peer ${us.publicKey} allowed-ips 10.66.0.0/16`,
  `set IF peer ${far.publicKey} allowed-ips 10.77.0.0/16`,
  // The peer with the interface's own key is removed.
  "set IF private-key /tests/other",
  "set IF private-key /dev/null fwmark off",
  "set IF fwmark 0xffffffff listen-port 0",
  "setconf IF /tests/keyless.conf",
  "syncconf IF /tests/keyless.conf",
]);
const CONF = commands([
  "setconf IF /tests/many.conf",
  "addconf IF /tests/added.conf",
  "syncconf IF /tests/fewer.conf",
  "setconf IF /tests/fewer.conf",
  "syncconf IF /tests/keyless.conf",
]);
const ERRORS = [
  ...commands([
    ...[
      "show nosuch",
      "show nosuch dump",
      "showconf nosuch",
      "set nosuch fwmark 1",
      "addconf nosuch /tests/added.conf",
    ],
    ...["show lo", "set lo fwmark 1", "syncconf lo /tests/fewer.conf", "addconf IF /tests/broken.conf"],
    ...["show no/such", "set no/such fwmark 1", "showconf abcdefghijklmno", "showconf abcdefghijklmnop"],
  ]),
  // A name is cut to 15 characters where something is changed.
  { words: ["set", "abcdefghijklmnop", "fwmark", "5"], before: "ip link add abcdefghijklmno type wireguard" },
  ...commands(["show abcdefghijklmno", "show abcdefghijklmnop", "show interfaces"]),
];
/** A process that answers for a name takes precedence over a kernel interface. */
const SOCKETS = commands(["show IF", "show IF dump", "set IF fwmark 1", "showconf IF", "show interfaces"])
  .map((command) => ({ ...command, reply: "listen_port=7\nfwmark=8\nerrno=0\n\n" }));

/** All of these, in order. */
const COMMANDS: Readonly<Record<string, readonly Command[]>> = {
  "show, in all its forms": SHOW,
  "set, in many forms": SET,
  "setconf, addconf and syncconf of a thousand peers": CONF,
  "errors": ERRORS,
  "a control socket instead of the kernel": SOCKETS,
};

/** Boots a guest with wgd and the files of these tests. @returns Also where a Deno is in it. */
async function bootGuest(host: Host): Promise<{ guest: Guest; deno: string }> {
  let deno = "";
  await using image = await imageWith(await peer("kernel"), async (root) => {
    deno = await putWgd(root);
    await Deno.mkdir(root + FILES);
    await bundle(new URL("lab/beside.ts", import.meta.url), `${root}${FILES}/beside.js`);
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(`${root}${FILES}/${name}`, text);
    }
    await Deno.writeTextFile(`${root}${FILES}/commands.json`, JSON.stringify(Object.values(COMMANDS).flat()));
  });
  return { guest: await Guest.boot("kernel", image, host, "tap0", { megabytes: 512 }), deno };
}

/**
 * Makes two interfaces that communicate over loopback, and stops them, so that their state does not change any more.
 */
async function talk(guest: Guest): Promise<void> {
  await guest.ok("ip", "link", "set", "eth0", "up");
  // The one that sends first comes up last, because its next attempt is five seconds later.
  for (const [name, config] of Object.entries({ answering, shown })) {
    const script =
      `ip link add ${name} type wireguard; cat > /tmp/c; wg setconf ${name} /tmp/c; ip link set ${name} up`;
    await guest.sh(script, { stdin: formatConfig(config) });
  }
  await eventually("a handshake", async () => {
    return /\t[1-9]/.test(await guest.ok("wg", "show", "answering", "latest-handshakes"));
  }, { within: 30_000 });
  await guest.sh("ip link set shown down; ip link set answering down");
}

/** Runs all commands with wg and with wgd. */
async function beside(guest: Guest, deno: string): Promise<Beside[]> {
  const script = ["run", "--allow-all", "--quiet", "--no-config", `${FILES}/beside.js`];
  const finished = await guest.run([deno, ...script, `${FILES}/commands.json`], { timeout: 300_000 });
  equal(finished.code, 0, finished.stderr);
  return JSON.parse(finished.stdout);
}

/** The age of the handshake increases. */
function still(text: string): string {
  return text.replace(/(latest handshake\S*: ).*/g, "$1…");
}

await rootTest(
  "wgd reads and changes interfaces of the kernel as wg does",
  { peers: ["kernel"] },
  async (t) => {
    await using host = await Host.create("host");
    const { guest, deno } = await bootGuest(host);
    await using _guest = guest;
    await talk(guest);
    await guest.sh("for name in theirs ours; do ip link add $name type wireguard; done");

    const outcomes = await beside(guest, deno);
    for (const [name, list] of Object.entries(COMMANDS)) {
      await t.step(name, () => {
        for (const { words } of list) {
          const { theirs, ours, read } = outcomes.shift()!;
          const plain = (outcome: Outcome) => ({ words, ...outcome, stdout: still(outcome.stdout) });
          deepEqual(plain(ours), plain(theirs));
          equal(read, ours.state);
          // The kernel interface has another one.
          if (list === SOCKETS) equal(ours.state, "(none)\t(none)\t7\t0x8\n");
        }
      });
    }
    equal(outcomes.length, 0);
    await t.step("the executable", () => executable(guest));
    await t.step("an interface that wg-quick made", () => afterWgQuick(guest));
  },
);

/** The program must have the same features as the library. */
async function executable(guest: Guest): Promise<void> {
  equal(await guest.ok(WGD, "show", "shown", "dump"), await guest.ok("wg", "show", "shown", "dump"));
  await guest.sh("ip link set answering up; wg set ours listen-port 51850; ip link set ours up");
  const taken = ["set", "ours", "listen-port", "51901"];
  const [theirs, ours] = [await guest.run(["wg", ...taken]), await guest.run([WGD, ...taken])];
  equal(ours.code, 1);
  equal(ours.stderr, `${theirs.stderr}hint: another program uses that UDP port; see which: ss -lunp\n`);
  equal(await guest.ok("wg", "show", "ours", "listen-port"), "51850\n");
  // Root of a user namespace has no rights in the network namespace outside.
  const [refused, alike] = [
    await guest.run(["unshare", "-Ur", "wg", "show", "ours"]),
    await guest.run(["unshare", "-Ur", WGD, "show", "ours"]),
  ];
  equal(alike.stderr.replace(/^hint: .*\n/m, ""), refused.stderr);
  match(refused.stderr, /Operation not permitted/);
  const json = JSON.parse(await guest.ok(WGD, "show", "shown", "--json"));
  equal(json.interfaces[0].peers[2].endpoint, "[fe80::7%eth0]:7");
  match((await guest.run([WGD, "doctor", "shown"])).stdout, /^ok +shown is a kernel interface\n/);
  // Kernels before 6.16 cannot remove single allowed IPs, and refuse this.
  const words = ["set", "ours", "peer", anna.publicKey, "allowed-ips"];
  await guest.ok("wg", ...words, "10.0.0.0/24,10.0.1.0/24");
  const taking = await guest.run([WGD, ...words, "-10.0.0.0/24,+10.0.2.0/24"]);
  if (taking.code !== 0) match(taking.stderr, /: Invalid argument\nhint: kernels before 6\.16 /);
  equal(
    await guest.ok("wg", "show", "ours", "allowed-ips"),
    `${anna.publicKey}\t${taking.code === 0 ? "10.0.1.0/24 10.0.2.0/24" : "10.0.0.0/24 10.0.1.0/24"}\n`,
  );
}

/** An interface that wg-quick made is saved, reloaded and taken down. */
async function afterWgQuick(guest: Guest): Promise<void> {
  const before = await guest.ok("ip", "route");
  await guest.ok("wg-quick", "up", `${FILES}/quick.conf`);
  match(await guest.ok("ip", "route"), /10\.40\.0\.0\/16 dev quick/);
  await guest.ok("wg", "set", "quick", "peer", bert.publicKey, "allowed-ips", "10.50.0.0/16");
  await guest.ok(WGD, "quick", "save", `${FILES}/quick.conf`);
  const saved = await guest.ok("cat", `${FILES}/quick.conf`);
  match(saved, /# A comment\n/);
  ok(saved.includes(bert.publicKey));
  await guest.ok("wg", "set", "quick", "peer", bert.publicKey, "remove");
  await guest.ok(WGD, "quick", "reload", `${FILES}/quick.conf`);
  ok((await guest.ok("wg", "show", "quick", "peers")).includes(bert.publicKey));
  await guest.ok(WGD, "quick", "down", `${FILES}/quick.conf`);
  equal((await guest.run(["ip", "link", "show", "quick"])).code, 1);
  equal(await guest.ok("ip", "route"), before);
}
