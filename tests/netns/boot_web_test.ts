/**
 * The services of `wgd install --web` under a systemd that boots: both processes of the server, with the rights of
 * their units.
 *
 * @module
 */

import { equal, match, ok } from "node:assert/strict";
import { resolve } from "node:path";
import { Booted, MACHINE } from "./lab/booted.ts";
import { eventually } from "./lab/exec.ts";
import { generateKeys } from "./lab/keys.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const SERVICES = ["wgd-keeper.service", "wgd-web.service"];
const PASSWORD = "correct horse battery";
const PHONE = generateKeys();
/** The maximum exposure of the services in `systemd-analyze security`, from 0 to 10. Without a sandbox it is 9.6. */
const EXPOSURE = { "wgd-web.service": 1.7, "wgd-keeper.service": 4.5 };

/** A machine on which a server was set up before its services were enabled. */
async function boot(): Promise<Booted> {
  const [program] = wgdCommand();
  return await Booted.create(`
    ${MACHINE}${resolve(program!)} install --web
    echo '${PASSWORD}' > /etc/password
    wgd web init --network wg0 --address 10.8.0.1/24 --endpoint 192.0.2.1 --admin admin --password-file /etc/password
    systemctl enable ${SERVICES.join(" ")}`);
}

/** Calls the API as a program. */
async function call(machine: Booted, method: string, path: string, token: string, body?: unknown) {
  const data = body === undefined ? [] : ["--json", JSON.stringify(body)];
  const curl = ["curl", "-sS", "--cacert", "/var/lib/wgd/ca.pem", "-H", `Authorization: Bearer ${token}`];
  const text = await machine.ok(...curl, "-X", method, ...data, `https://localhost/api/v1${path}`);
  return JSON.parse(text);
}

/** A phone in a network namespace of the machine, connected by a cable, with its tunnel up. */
async function connectPhone(machine: Booted, config: string): Promise<void> {
  const file = config.replace("[Interface]\n", `[Interface]\nPrivateKey = ${PHONE.privateKey}\n`);
  await machine.write("/etc/wireguard/phone.conf", file);
  await machine.ok(
    "sh",
    "-ec",
    `ip netns add phone
    ip link add eth0 type veth peer name eth1 netns phone
    ip address add 192.0.2.1/24 dev eth0
    ip link set eth0 up
    ip -n phone address add 192.0.2.2/24 dev eth1
    ip -n phone link set eth1 up
    ip netns exec phone wgd quick up phone`,
  );
}

await rootTest(
  "wgd install --web installs two services that start at boot, have few rights, and do not interrupt tunnels",
  { programs: ["systemctl", "curl", "ping"] },
  async (context) => {
    await using machine = await boot();
    const pid = async (service: string) =>
      (await machine.ok("systemctl", "show", "-P", "MainPID", service)).trim();
    const status = async (service: string) => await machine.ok("cat", `/proc/${await pid(service)}/status`);
    const log = async () => (await machine.run("journalctl", "--no-pager", "-u", "wgd-*")).stdout;

    await context.step("both are active, and the page answers over HTTPS", async () => {
      for (const service of SERVICES) {
        equal((await machine.run("systemctl", "is-active", service)).stdout, "active\n", await log());
      }
      const page = await machine.ok("curl", "-sS", "--cacert", "/var/lib/wgd/ca.pem", "https://localhost/");
      match(page, /<script type="module"/);
    });

    await context.step("systemd-analyze reports no warnings and little exposure", async () => {
      const verified = await machine.run("systemd-analyze", "verify", "--man=no", ...SERVICES);
      equal(verified.stdout + verified.stderr, "");
      for (const [service, most] of Object.entries(EXPOSURE)) {
        const found = await machine.ok("systemd-analyze", "security", "--no-pager", service);
        const exposure = Number(/exposure level for \S+: ([\d.]+)/.exec(found)?.[1]);
        console.log(`${service}: exposure ${exposure}`);
        ok(exposure <= most, `${found}`);
      }
    });

    await context.step("the web process runs as its own user with one capability", async () => {
      const user = (await machine.ok("id", "-u", "wgd")).trim();
      const web = await status("wgd-web.service");
      match(web, new RegExp(`^Uid:\\t${user}\\t${user}\\t${user}\\t${user}$`, "m"));
      // CAP_NET_BIND_SERVICE is number 10.
      for (const set of ["CapEff", "CapBnd"]) match(web, new RegExp(`^${set}:\\t0{13}400$`, "m"));
      match(web, /^NoNewPrivs:\t1$/m);
      match(web, /^Seccomp:\t2$/m);
      const words = await machine.ok("cat", `/proc/${await pid("wgd-web.service")}/cmdline`);
      match(words, /--allow-write=\/var\/lib\/wgd\/web,/);
      equal(words.includes("--allow-all"), false);
      match(
        await machine.ok("stat", "-c", "%a %U %n", "/var/lib/wgd", "/var/lib/wgd/keeper", "/var/lib/wgd/web"),
        /^755 root .*\n700 root .*\n700 wgd .*\n$/,
      );
    });

    const token = (await machine.ok("wgd", "web", "token", "add", "test", "--scopes", "devices")).trim();
    await context.step("a phone connects, and restarts of both services keep its tunnel", async () => {
      const wanted = { network: "wg0", name: "phone", publicKey: PHONE.publicKey };
      const { id, config } = await call(machine, "POST", "/devices", token, wanted);
      await connectPhone(machine, config);
      const ping = ["ip", "netns", "exec", "phone", "ping", "-W", "5", "10.8.0.1"];
      await machine.ok(...ping, "-c", "2");
      const handshakes = await machine.ok("wg", "show", "wg0", "latest-handshakes");
      const running = machine.run(...ping, "-i", "0.2", "-c", "50");
      const before = await Promise.all(SERVICES.map(pid));
      const shown = /fingerprint \(SHA-256\) (\S+)/g;
      await machine.ok("systemctl", "restart", "wgd-web");
      equal((await call(machine, "GET", `/devices/${id}`, token)).name, "phone");
      await machine.ok("systemctl", "restart", "wgd-keeper");
      const after = await Promise.all(SERVICES.map(pid));
      for (const [i, old] of before.entries()) ok(after[i] !== old);
      match((await running).stdout, / 0% packet loss/);
      const fingerprints = [...(await log()).matchAll(shown)].map(([, found]) => found);
      equal(fingerprints.length, 2);
      equal(fingerprints[0], fingerprints[1], "it shows the same certificate");
      equal(
        await machine.ok("wg", "show", "wg0", "latest-handshakes"),
        handshakes,
        "the session was not replaced",
      );
      // The web process finds the new keeper.
      await machine.ok(
        ...["curl", "-sS", "--fail", "--cacert", "/var/lib/wgd/ca.pem", "-X", "DELETE"],
        ...["-H", `Authorization: Bearer ${token}`, `https://localhost/api/v1/devices/${id}`],
      );
      equal(await machine.ok("wg", "show", "wg0", "peers"), "");
    });

    await context.step("wgd web reports that the services run", async () => {
      const { code, stderr } = await machine.run("wgd", "web");
      equal(code, 1);
      match(
        stderr,
        /^wgd: the services wgd-keeper and wgd-web are already running\nhint: .*journalctl -u wgd-web.*\n$/,
      );
    });

    await context.step("wgd uninstall removes everything except the data, and prints this", async () => {
      const { code, stdout, stderr } = await machine.run("wgd", "uninstall");
      equal(code, 0, stderr);
      match(stdout, /^removed \/usr\/local\/lib\/systemd\/system\/wgd-web\.service$/m);
      match(stderr, /\/var\/lib\/wgd and the user wgd are the server's data and stay/);
      equal(await machine.ok("find", "/usr/local", "-type", "f"), "");
      equal(await machine.ok("find", "/etc/systemd/system", "-name", "wgd*"), "");
      for (const service of SERVICES) equal((await machine.run("systemctl", "cat", service)).code, 1);
      await machine.ok("test", "-f", "/var/lib/wgd/web/wgd.db");
      await machine.ok("id", "wgd");
    });
  },
);

await rootTest(
  "the services take over a server that ran as nobody, are set up by the link in the log, and are uninstalled completely",
  { programs: ["systemctl", "curl"] },
  async () => {
    const [program] = wgdCommand();
    await using machine = await Booted.create(`
      mkdir /usr/local/bin
      cp ${MACHINE}${resolve(program!)} /usr/local/bin/wgd`);
    // As from a terminal, with all rights of root.
    await machine.ok("systemd-run", "--quiet", "--unit=by-hand", "wgd", "web");
    const byHand = async () => await machine.ok("journalctl", "--no-pager", "-u", "by-hand");
    await eventually("the server", async () => {
      const log = await byHand();
      ok(/listening at/.test(log), log);
      return true;
    }, { within: 50_000 });
    equal(await machine.ok("stat", "-c", "%U", "/var/lib/wgd/web/wgd.db"), "nobody\n");
    match(
      (await machine.run("wgd", "web")).stderr,
      /^wgd: a keeper \(process \d+\) already serves \/var\/lib\/wgd$/m,
    );
    await machine.ok("systemctl", "stop", "by-hand");

    match((await machine.run("wgd", "install", "--web")).stderr, /systemctl enable --now wgd-keeper wgd-web/);
    await machine.ok("systemctl", "enable", "--now", ...SERVICES);
    const owners = await machine.ok("sh", "-c", "stat -c %U /var/lib/wgd/web /var/lib/wgd/web/*");
    match(owners, /^(wgd\n){3,}$/);
    const log = await machine.ok("journalctl", "--no-pager", "-u", "wgd-web");
    const token = /\/setup#(\S+)/.exec(log)?.[1];
    const body = {
      token,
      admin: { name: "anna", password: PASSWORD },
      network: { name: "wg0", address: "10.8.0.1/24", endpoint: "192.0.2.1" },
    };
    await machine.ok(
      ...["curl", "-sSk", "--fail", "--json", JSON.stringify(body), "-H", "Origin: https://localhost"],
      "https://localhost/api/v1/setup",
    );
    match(await machine.ok("wg", "show", "wg0"), /listening port: 51820/);

    await machine.ok("systemctl", "disable", "--now", ...SERVICES);
    await machine.ok("ip", "link", "delete", "wg0");
    await machine.ok("rm", "-r", "/var/lib/wgd");
    const { code, stderr } = await machine.run("wgd", "uninstall");
    equal(code, 0, stderr);
    equal(stderr, "");
    equal((await machine.run("id", "wgd")).code, 1);
  },
);
