/**
 * The introduction in the manual, `cli/manual/talk.md`: every block is run on hosts of the lab, with the built wgd as
 * their only WireGuard.
 *
 * @module
 */

import { deepEqual, equal, match, rejects, throws } from "node:assert/strict";
import { Host } from "./lab/host.ts";
import { connect, Network } from "./lab/network.ts";
import { type Block, PageError, readPage, runPage, type Stage } from "./lab/page.ts";
import { rootTest } from "./lab/rooted.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const NAME = "cli/manual/talk.md";
const PROGRAMS = ["ip", "iptables", "ping", "sysctl"];
const FOLDER = "/run/lab/reader";
const PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin";

const page = await Deno.readTextFile(`${ROOT}${NAME}`);

/** Gives a host what a reader has: a folder with the built wgd, an empty /usr/local, no other WireGuard. */
async function prepare(host: Host): Promise<void> {
  await host.sh(`
    mkdir -p ${FOLDER}; ln -s ${ROOT}dist ${FOLDER}/dist
    mkdir -p /etc/wireguard; mount -t tmpfs -o mode=700 tmpfs /etc/wireguard
    mount -t tmpfs tmpfs /usr/local; mkdir /usr/local/bin
    mkdir /run/lab/over; mount -t tmpfs tmpfs /run/lab/over; mkdir /run/lab/over/upper /run/lab/over/work
    mount -t overlay -o lowerdir=/usr/bin,upperdir=/run/lab/over/upper,workdir=/run/lab/over/work none /usr/bin
    rm -f /usr/bin/wg /usr/bin/wg-quick
    for program in wg wg-quick; do
      if PATH=${PATH} command -v $program; then exit 1; fi
    done`);
}

/** The hosts of the page: a switch that all but web are at, and web behind the server. */
async function stage(): Promise<Stage & AsyncDisposable> {
  await using made = new AsyncDisposableStack();
  const network = made.use(await Network.create("internet", "server", "client", "foo", "bar", "web"));
  const [internet, server, client, foo, bar, web] = network.hosts;
  await internet.sh("ip link add switch type bridge; ip link set switch up");
  const outside = {
    server: ["192.0.2.1/24", "10.123.45.1/24"],
    client: ["192.0.2.4/24"],
    foo: ["192.0.2.11/24"],
    bar: ["192.0.2.12/24"],
    web: ["10.123.45.80/24"],
  };
  const hosts = { server, client, foo, bar, web };
  for (const [name, host] of Object.entries(hosts)) {
    const addresses = outside[name as keyof typeof outside];
    await connect({ host: internet, name }, { host, name: "eth0", addresses });
    await internet.ok("ip", "link", "set", name, "master", "switch");
    await prepare(host);
  }
  const all = made.move();
  return { hosts, folder: FOLDER, path: PATH, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

await rootTest("the introduction works, block by block, with wgd alone", { programs: PROGRAMS }, async () => {
  const blocks = readPage(NAME, page);
  await using all = await stage();
  const done = await runPage(NAME, blocks, all);
  const skipped = blocks.filter(({ kind }) => kind === "not-run");
  console.log(`${NAME}: ${done} blocks run, ${skipped.length} not:`);
  for (const { line, text } of skipped) console.log(`  line ${line}: ${text.trimEnd().replace(/\n/g, "; ")}`);
  equal(done + skipped.length, blocks.length);
  equal(
    skipped.length,
    3,
    "the only blocks not run are the build, the installation of the original, and systemd",
  );
});

/** A command of the talk, and where it is on the page: as it is, but for what differs. */
interface Said {
  readonly command: string;
  /** The replacement on the page, if the page has another command. */
  readonly page?: RegExp;
  /** The page shows it, and no test can run it: it needs the Internet, or systemd. */
  readonly notRun?: true;
}

/** Every command line of the talk, in its order. */
const COMMANDS: readonly Said[] = [
  {
    command:
      "sudo curl -Lo /etc/yum.repos.d/wireguard.repo https://copr.fedorainfracloud.org/coprs/jdoss/wireguard/repo/epel-7/jdoss-wireguard-epel-7.repo",
    notRun: true,
  },
  { command: "sudo yum install epel-release", notRun: true },
  { command: "sudo yum install wireguard-dkms wireguard-tools", notRun: true },
  { command: "pkg install wireguard", notRun: true },
  { command: "ip link add dev wg0 type wireguard", page: /^wgd run wg0$/ },
  { command: "ip address add dev wg0 192.168.2.1/24" },
  { command: "ip address add dev wg0 192.168.2.1 peer 192.168.2.2" },
  { command: "wg setconf wg0 myconfig.conf" },
  {
    command:
      "wg set wg0 listen-port 51820 private-key /path/to/private-key peer ABCDEF... allowed-ips 192.168.88.0/24 endpoint 209.202.254.14:8172",
    page:
      /^wg set wg0 listen-port 51820 private-key privatekey peer <publickey of the server> allowed-ips \S*\b192\.168\.88\.0\/24 endpoint 192\.0\.2\.1:8172$/,
  },
  { command: "ip link set up dev wg0" },
  { command: "systemctl enable wg-quick@wg0", notRun: true },
  { command: "wg-quick up wg0" },
  { command: "wg genkey > privatekey" },
  { command: "wg pubkey < privatekey > publickey" },
  { command: "wg genpsk > preshared" },
  { command: "sysctl net.ipv4.ip_forward=1" },
  { command: "qrencode -t ansiutf8 < wgconfig.conf", page: /^wgd qr wgconfig\.conf$/ },
];

/** Every line of the talk's two configuration files, as the page's files must have them. */
const SETTINGS: readonly (string | RegExp)[] = [
  "Address = 10.113.0.4/16",
  "AllowedIPs = 10.113.0.0/16, 10.123.45.0/24, 1234:4567:89ab::/48",
  /^Endpoint = \S+:51820$/,
  "PersistentKeepalive = 25",
  "Address = 10.113.0.254/16",
  "ListenPort = 51820",
  "PrivateKey = <privatekey>",
  "PostUp = iptables -A FORWARD -i %i -j ACCEPT; iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE",
  "PostDown = iptables -D FORWARD -i %i -j ACCEPT; iptables -t nat -D POSTROUTING -o eth0 -j MASQUERADE",
  "# client foo",
  "PublicKey = <publickey of foo>",
  "PresharedKey = <preshared>",
  "AllowedIPs = 10.113.0.1/32, 10.113.1.0/24",
  "# client bar",
  "PublicKey = <publickey of bar>",
  "AllowedIPs = 10.113.0.2/32, 10.113.2.0/24",
  // Named in the talk, without a value.
  /^PreUp = \S/,
  /^PreDown = \S/,
];

/** Every key that the talk explains. */
const KEYS = [
  ...["Address", "ListenPort", "PrivateKey", "PreUp", "PreDown", "PostUp", "PostDown"],
  ...["PublicKey", "AllowedIPs", "Endpoint", "PersistentKeepalive", "PresharedKey"],
];

const REFERENCES = [
  "https://www.wireguard.com/install/",
  "https://www.wireguard.com/",
  "https://www.wireguard.com/quickstart/",
  "https://wiki.archlinux.org/index.php/WireGuard",
];

Deno.test("the introduction has every command, setting and reference of the original talk", () => {
  const blocks = readPage(NAME, page);
  const lines = (kind: Block["kind"]) =>
    blocks.filter((block) => block.kind === kind).flatMap(({ text }) => text.split("\n"));
  const has = (all: readonly string[], wanted: string | RegExp) =>
    all.some((line) => typeof wanted === "string" ? line === wanted : wanted.test(line));
  const typed = lines("sh");
  const shown = lines("not-run");
  const written = lines("ini");
  const missing = [
    ...COMMANDS.filter(({ command, page, notRun }) => !has(notRun ? shown : typed, page ?? command))
      .map(({ command }) => command),
    ...SETTINGS.filter((setting) => !has(written, setting)),
    ...KEYS.filter((key) => !new RegExp(`^- .*\`${key}\``, "m").test(page)),
    ...REFERENCES.filter((reference) => !page.includes(`<${reference}>`)),
    // A replaced command is not useful without its original name.
    ...COMMANDS.filter(({ command, page: instead }) => instead && !/endpoint/.test(command))
      .map(({ command }) => command)
      .filter((command) => !page.includes(command)),
  ];
  deepEqual(missing, []);
});

await rootTest("the talk's own lines work to the letter, in its order", { programs: PROGRAMS }, async () => {
  await using all = await stage();
  const { server, client } = all.hosts as { server: Host; client: Host };
  const script = (host: Host, text: string) => host.sh(`cd ${FOLDER}; umask 077\n${text}`, { env: { PATH } });
  for (const host of [server, client]) {
    await script(host, "for name in wgd wg wg-quick; do ln -s $PWD/dist/wgd /usr/local/bin/$name; done");
    await script(host, "mkdir -p /run/lab/path/to; wg genkey > /run/lab/path/to/private-key");
  }
  const publicKey = (await script(server, "wg pubkey < /run/lab/path/to/private-key")).trim();
  await script(client, "wg genkey > key; echo '[Interface]\nListenPort = 51820' > myconfig.conf");
  await client.sh("umask 077; cat > /etc/wireguard/wg0.conf", {
    stdin: `[Interface]\nPrivateKey = ${(await script(client, "cat key")).trim()}\nAddress = 10.113.0.4/16\n`,
  });
  await script(client, "cp /etc/wireguard/wg0.conf wgconfig.conf");
  for (const { command, notRun, page } of COMMANDS) {
    if (notRun) continue;
    const instead = command.startsWith("ip link add") || command.startsWith("qrencode");
    const line = instead ? page!.source.replace(/[\^$\\]/g, "") : command
      .replace("/path/to/", "/run/lab/path/to/")
      .replace("ABCDEF...", publicKey);
    // By hand and by configuration are two ways to one interface.
    if (command.startsWith("wg-quick up")) await script(client, "ip link delete wg0");
    await script(client, line).catch((error) => {
      throw new Error(`"${line}": ${error.message}`, { cause: error });
    });
    if (command.startsWith("wg set ")) {
      equal(
        await script(client, "wg show wg0 endpoints; wg show wg0 allowed-ips; wg show wg0 listen-port"),
        `${publicKey}\t209.202.254.14:8172\n${publicKey}\t192.168.88.0/24\n51820\n`,
      );
    }
  }
  equal(await script(client, "wg pubkey < privatekey"), await script(client, "cat publickey"));
  match(await script(client, "cat preshared"), /^[A-Za-z0-9+/]{43}=\n$/);
});

await rootTest("a wrong page fails with the place of the mistake", {}, async () => {
  await using host = await Host.create("here");
  await host.ok("mkdir", FOLDER);
  const stage = { hosts: { here: host }, folder: FOLDER, path: PATH };
  const sh = (text: string, prints?: string) =>
    `\`\`\`sh\n# on here\n${text}\n\`\`\`\n${
      prints === undefined ? "" : `\n\`\`\`text\n${prints}\n\`\`\`\n`
    }`;
  const attempt = (markdown: string) =>
    runPage("page.md", readPage("page.md", `# A page\n\n${markdown}`), stage);

  equal(await attempt(sh("true")), 1);
  equal(await attempt(sh("echo one; echo 2 two", "one\n… two")), 1);
  equal(await attempt("```ini\n# file on here\n[Interface]\n```\n" + sh("cat file", "…\n[Interface]")), 2);
  equal(await attempt(sh("echo one > name") + sh("echo <name> <name of here>", "one one")), 2);

  await rejects(() => attempt(sh("wgd-not-there")), /^PageError: page\.md:3: on here: ended with 127/);
  await rejects(
    () => attempt(sh("false | true")),
    /ended with 1/,
    "a command that fails in a pipe fails the block",
  );
  await rejects(
    () => attempt(sh("false\ntrue")),
    /ended with 1/,
    "a command that fails before the last line fails the block",
  );
  await rejects(() => attempt(sh("echo one", "two")), /printed:\none\n\nbut the page says:\ntwo/);
  await rejects(() => attempt(sh("echo one; echo two", "one")), /printed/);
  await rejects(() => attempt(sh("echo one")), /printed/, "the page must contain what is printed");
  await rejects(() => attempt(sh("echo one >&2")), /printed/);
  await rejects(() => attempt(sh("true", "…")), /printed/, "something must be printed");
  await rejects(() => attempt(sh("echo <name of nobody>", "…")), /there is no host "nobody"/);
  throws(() => readPage("page.md", "```sh\nls\n```\n"), PageError);
  throws(() => readPage("page.md", "```\nls\n```\n"), /neither run nor marked/);
  throws(() => readPage("page.md", "```bash\nls\n```\n"), /neither run nor marked/);
  throws(() => readPage("page.md", "```sh later\nls\n```\n"), /neither run nor marked/);
  throws(() => readPage("page.md", "```ini\n[Interface]\n```\n"), /its first line must say/);
  throws(
    () => readPage("page.md", sh("true") + "and\n\n```text\none\n```\n"),
    /no sh block stands right before/,
  );
  throws(() => readPage("page.md", "~~~sh\n# on here\nls\n~~~\n"), /a fence that is not closed/);
  throws(() => readPage("page.md", "```sh\n# on here\nls\n"), /a fence that is not closed/);
});
