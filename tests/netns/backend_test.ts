/**
 * `wgd quick` with the kernel's WireGuard, with wgd's own, and with one of them if the other is not available. It runs
 * on a machine in an emulator whose kernel has the module. The other end is an interface of wgd.
 *
 * @module
 */

import { deepEqual, doesNotMatch, equal, match, ok } from "node:assert/strict";
import { eventually, must } from "./lab/exec.ts";
import { Guest } from "./lab/guest.ts";
import { imageWith, putWgd, WGD } from "./lab/guest_disk.ts";
import { Host } from "./lab/host.ts";
import { formatConfig, generateKeys } from "./lab/keys.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand } from "./lab/tunnel.ts";
import { peer } from "./peers/mod.ts";

const FILE = "/etc/wireguard/wg0.conf";
/** The unit, where `wgd install` puts it. */
const UNIT = "/usr/local/lib/systemd/system/wgd-quick@.service";
/** The path of a service (systemd.exec(5)). */
const SERVICE_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";
const [near, far, anna] = [generateKeys(), generateKeys(), generateKeys()];

/** The guest's file. It has a port, so that clients can be added. */
function file(...more: string[]): string {
  return formatConfig({
    privateKey: near.privateKey,
    listenPort: 51820,
    quick: ["Address = 10.0.0.2/24", ...more],
    peers: [{ publicKey: far.publicKey, allowedIps: ["10.0.0.1/32"], endpoint: "192.0.2.1:51820" }],
  });
}

/** Boots the guest, on which wgd is installed, and brings up wgd's own interface on the host beside it. */
async function boot(host: Host): Promise<Guest> {
  await using image = await imageWith(await peer("kernel"), async (root) => {
    await putWgd(root);
    await must([...wgdCommand(), "install", "--root", root]);
  });
  const guest = await Guest.boot("guest", image, host, "tap0", { megabytes: 512 });
  await host.sh("ip address add 192.0.2.1/24 dev tap0; umask 077; cat > /run/lab/wg0.conf", {
    stdin: formatConfig({
      privateKey: far.privateKey,
      listenPort: 51820,
      quick: ["Address = 10.0.0.1/24"],
      peers: [{ publicKey: near.publicKey, allowedIps: ["10.0.0.2/31"] }],
    }),
  });
  await host.ok(...wgdCommand(), "quick", "up", "/run/lab/wg0.conf");
  await guest.sh("ip address add 192.0.2.2/24 dev eth0; ip link set eth0 up; mkdir -m 700 /etc/wireguard");
  return guest;
}

/** A guest, and commands that are run repeatedly. */
class Machine {
  constructor(readonly guest: Guest) {}

  async write(text: string): Promise<void> {
    await this.guest.sh(`umask 077; cat > ${FILE}`, { stdin: text });
  }

  /** Runs `wgd quick`. @returns Its lines on standard error. */
  async quick(...words: string[]): Promise<string[]> {
    const { code, stderr } = await this.guest.run([WGD, "quick", ...words]);
    equal(code, 0, `${words.join(" ")}: ${stderr}`);
    return stderr.trimEnd().split("\n");
  }

  /** Runs `wgd quick up`, which must fail and leave nothing behind. */
  async refused(...words: string[]): Promise<{ code: number; stderr: string }> {
    const { code, stderr } = await this.guest.run([WGD, "quick", "up", "wg0", ...words]);
    ok(code !== 0, stderr);
    equal(await this.index(), "");
    equal(
      await this.guest.ok(
        "sh",
        "-c",
        "ls /run/wgd /run/wireguard 2>/dev/null | grep '[.]json\\|[.]sock' || true",
      ),
      "",
    );
    return { code, stderr };
  }

  async json(...words: string[]): Promise<Record<string, unknown>> {
    return JSON.parse(await this.guest.ok(WGD, ...words, "--json")).interfaces[0];
  }

  /** The kernel's number of wg0, and its kind; empty if there is none. */
  async index(): Promise<string> {
    const { stdout } = await this.guest.run(["ip", "-details", "-oneline", "link", "show", "wg0"]);
    const [, index] = /^(\d+):/.exec(stdout) ?? [];
    return index === undefined ? "" : `${index} ${/ (wireguard|tun) /.exec(stdout)?.[1]}`;
  }

  /** Checks that traffic passes in both directions. */
  async ping(): Promise<void> {
    const answers = async () => (await this.guest.run(["ping", "-c", "1", "-W", "2", "10.0.0.1"])).code === 0;
    await eventually("an answer through the tunnel", answers, { within: 20_000 });
  }

  async processes(): Promise<string> {
    return await this.guest.sh("grep -l 'foregroun[d]' /proc/[0-9]*/cmdline 2>/dev/null || true");
  }
}

await rootTest(
  "wgd quick brings interfaces up with the kernel's WireGuard and with its own",
  { peers: ["kernel"] },
  async (t) => {
    await using host = await Host.create("host");
    await using guest = await boot(host);
    const machine = new Machine(guest);
    const step = (name: string, test: (machine: Machine, host: Host) => Promise<void>) =>
      t.step(name, () => test(machine, host));
    await step("what the unit runs at boot loads the module; reload and stop work on its interface", service);
    await step("auto uses the kernel", comesUp);
    await step("status, show, doctor and peer work on it", isTold);
    await step("reload and save", follows);
    await step("down", goes);
    await step("Repair restores what other programs removed", repaired);
    await step("wgd's own on the same machine", own);
    await step("a name as endpoint", named);
    await step("the environment chooses, and --backend takes precedence", chosen);
    await step("an interface that was deleted", deleted);
    await step("an interface that was moved to another namespace or renamed", moved);
    await step("a port that is taken", portTaken);
    await step("in a user namespace", userNamespace);
    await step("a module that is not loaded", notLoaded);
  },
);

/**
 * The guest has no systemd, so the test reads the unit and runs its commands with its environment. boot_test.ts has a
 * systemd, but no module.
 */
async function service(machine: Machine): Promise<void> {
  const { guest } = machine;
  const unit = await guest.ok("cat", UNIT);
  const values = (key: string) =>
    [...unit.matchAll(new RegExp(`^${key}=(.*)$`, "gm"))].map(([, value]) => value!.replaceAll("%i", "wg0"));
  const start = async (key: "ExecStart" | "ExecReload" | "ExecStop") => {
    const [command, ...others] = values(key);
    deepEqual([command?.split(" ")[0], others], ["/usr/local/bin/wgd", []], "one command, as installed");
    const environment = ["env", "-i", SERVICE_PATH, ...values("Environment")];
    const { code, stderr } = await guest.run([...environment, ...command!.split(" ")]);
    equal(code, 0, `${key}: ${stderr}`);
  };
  const isLoaded = async () => (await guest.run(["test", "-d", "/sys/module/wireguard"])).code === 0;

  equal(await isLoaded(), false);
  await machine.write(file());
  await start("ExecStart");
  equal(await isLoaded(), true);
  match(await machine.index(), / wireguard$/);
  equal((await machine.json("quick", "status")).backend, "kernel");
  await machine.ping();

  const before = await machine.index();
  await machine.write(file("Address = 10.0.0.3/24"));
  await start("ExecReload");
  equal(await machine.index(), before, "it is the same interface");
  match(await guest.sh("ip -4 address show dev wg0"), /inet 10\.0\.0\.3\/24 /);

  await start("ExecStop");
  equal(await machine.index(), "");
  equal(await guest.ok(WGD, "quick", "status"), "");
}

async function comesUp(machine: Machine): Promise<void> {
  await machine.write(file());
  deepEqual(await machine.quick("up", "wg0"), [
    "[#] ip link add wg0 type wireguard",
    "[#] wg addconf wg0 /dev/fd/63",
    "[#] ip -4 address add 10.0.0.2/24 dev wg0",
    "[#] ip link set mtu 1420 up dev wg0",
  ]);
  match(await machine.index(), / wireguard$/);
  await machine.ping();
  await eventually("the process that was not needed to end", async () => await machine.processes() === "");
}

async function isTold(machine: Machine): Promise<void> {
  const { guest } = machine;
  equal((await machine.json("show")).backend, "kernel");
  const { backend, state, changes } = await machine.json("quick", "status");
  deepEqual([backend, state, changes], ["kernel", "up", []]);
  match(await guest.ok(WGD, "quick", "status"), /^wg0: up \(kernel\), since /);
  match(await guest.ok(WGD, "show", "--verbose"), /none: the kernel runs the interface/);
  match(
    await guest.ok(WGD, "doctor", "wg0", "10.0.0.1"),
    /^ok +wg0 is a kernel interface\n[^]*10\.0\.0\.1 goes through wg0/,
  );
  await guest.ok(WGD, "peer", "add", "wg0", "Anna", "--endpoint", "192.0.2.2", "--output", "/tmp/Anna.conf");
  equal((await guest.ok("wg", "show", "wg0", "peers")).trim().split("\n").length, 2);
}

async function follows(machine: Machine, host: Host): Promise<void> {
  const { guest } = machine;
  const handshake = async () => {
    const lines = (await guest.ok("wg", "show", "wg0", "latest-handshakes")).split("\n");
    return lines.find((line) => line.startsWith(far.publicKey));
  };
  const before = [await machine.index(), await handshake()];
  await machine.write(
    file("Address = 10.0.0.3/24", "# wgd: Backend = wgd") +
      `\n[Peer]\nPublicKey = ${anna.publicKey}\nAllowedIPs = 10.7.0.0/16\n`,
  );
  const said = await machine.quick("reload", "wg0");
  equal(said[0], "the backend has changed; the next up uses the new one");
  ok(said.includes("[#] ip -4 route replace 10.7.0.0/16 dev wg0"), said.join("\n"));
  deepEqual(
    [await machine.index(), await handshake()],
    before,
    "it is the same interface, with the same session",
  );
  await host.ok("ping", "-c", "1", "-W", "5", "10.0.0.3");
  deepEqual((await machine.json("quick", "status")).changes, []);

  await guest.ok("wg", "set", "wg0", "peer", anna.publicKey, "persistent-keepalive", "99");
  await machine.quick("save", "wg0");
  match(await guest.ok("cat", FILE), /# wgd: Backend = wgd\n[^]*PersistentKeepalive = 99\n/);
}

async function goes(machine: Machine): Promise<void> {
  deepEqual(await machine.quick("down", "wg0"), ["[#] ip link delete dev wg0"]);
  equal(await machine.index(), "");
  equal(await machine.guest.ok(WGD, "quick", "status"), "");
}

async function repaired(machine: Machine): Promise<void> {
  const { guest } = machine;
  const saved = await guest.ok("cat", FILE);
  await machine.write(file("# wgd: Repair = on"));
  await machine.quick("up", "wg0");
  match(await machine.index(), / wireguard$/);
  await guest.sh("ip address flush dev wg0; ip link set wg0 down");
  const status = async () => /: restored/.test(await guest.ok(WGD, "quick", "status"));
  await eventually("the interface to be repaired", status, { within: 30_000 });
  match(await guest.sh("ip -4 address show dev wg0 up"), /inet 10\.0\.0\.2\/24 /);
  await machine.ping();
  await machine.quick("down", "wg0");
  equal(await guest.sh("grep -l 'quick.watc[h]' /proc/[0-9]*/cmdline 2>/dev/null || true"), "");
  await machine.write(saved);
}

/** From the file, which an earlier step has changed. */
async function own(machine: Machine): Promise<void> {
  equal((await machine.quick("up", "wg0"))[0], "[#] wgd run wg0");
  match(await machine.index(), / tun$/);
  await machine.ping();
  equal((await machine.json("show")).backend, "wgd");
  equal((await machine.json("quick", "status")).backend, "wgd");
  const before = await machine.index();
  await machine.write(file("MTU = 1400"));
  const reloaded = (await machine.quick("reload", "wg0")).join("\n");
  match(reloaded, /^\[#\] ip link set .*mtu 1400/m);
  equal(await machine.index(), before, "a running interface is not exchanged for the kernel's");
  equal((await machine.json("show")).backend, "wgd");
  await machine.ping();
  await machine.quick("down", "wg0");
  equal(await machine.processes(), "");
}

async function named(machine: Machine): Promise<void> {
  await machine.guest.sh("echo 192.0.2.1 vpn.test >> /etc/hosts");
  await machine.write(file().replace("192.0.2.1:51820", "vpn.test:51820"));
  const hint =
    /^hint: the kernel's WireGuard does not look up vpn\.test:51820 again .* "# wgd: Backend = wgd"/m;
  match((await machine.quick("up", "wg0")).join("\n"), hint);
  await machine.ping();
  await machine.quick("down", "wg0");
  doesNotMatch((await machine.quick("up", "wg0", "--backend", "kernel")).join("\n"), hint);
  await machine.quick("down", "wg0");
}

async function chosen(machine: Machine): Promise<void> {
  const { guest } = machine;
  await machine.write(file());
  const up = (backend: string, ...words: string[]) =>
    guest.run(["env", `WGD_BACKEND=${backend}`, WGD, "quick", "up", "wg0", ...words]);
  for (
    const [first, ...words] of [["[#] wgd run wg0"], [
      "[#] ip link add wg0 type wireguard",
      "--backend",
      "kernel",
    ]]
  ) {
    const { code, stderr } = await up("wgd", ...words);
    equal(code, 0, stderr);
    equal(stderr.split("\n", 1)[0], first);
    await machine.quick("down", "wg0");
  }
  const unknown = await up("quantum");
  equal(unknown.code, 1);
  match(unknown.stderr, /WGD_BACKEND: [^]*quantum/);
  equal(await machine.index(), "");
}

async function deleted(machine: Machine): Promise<void> {
  const { guest } = machine;
  await machine.write(file("# wgd: Disable = udp-gso", "PostDown = echo gone > /tmp/hook"));
  const said = await machine.quick("up", "wg0", "--backend", "kernel");
  equal(said[1], `Warning: ${FILE}: Disable has no effect on the kernel's WireGuard`);
  await guest.ok("ip", "link", "delete", "wg0");
  match(
    await guest.ok(WGD, "quick", "status"),
    /^wg0: dead \(kernel\), [^]*it was deleted; "wgd quick down wg0"/,
  );
  await machine.quick("down", "wg0");
  equal(await guest.ok("cat", "/tmp/hook"), "gone\n");
  equal(await guest.ok(WGD, "quick", "status"), "");
}

async function moved(machine: Machine): Promise<void> {
  const { guest } = machine;
  await guest.sh("ip netns add X");
  for (
    const move of ["ip link set %i netns X name other", "ip link set %i down; ip link set %i name other"]
  ) {
    const hooks = ["Table = off", `PostUp = ${move}`, "PreDown = echo predown >> /tmp/hooks"];
    await machine.write(file(...hooks));
    await guest.sh("rm -f /tmp/hooks");
    await machine.quick("up", "wg0", "--backend", "kernel");
    match(
      await guest.ok(WGD, "quick", "status"),
      /^wg0: up \(kernel\), [^]*\n {2}it(s name is other now| is in .* X, as other)\n/,
    );
    const again = await guest.run([WGD, "quick", "up", "wg0"]);
    equal(again.code, 1);
    match(again.stderr, /`wg0' already exists/);
    await machine.quick("down", "wg0");
    equal(await guest.ok("cat", "/tmp/hooks"), "predown\n");
    equal(
      await guest.sh("ip link show other 2>/dev/null || ip -n X link show other 2>/dev/null || true"),
      "",
    );
    equal(await guest.ok(WGD, "quick", "status"), "");
  }
}

async function portTaken(machine: Machine): Promise<void> {
  const { guest } = machine;
  await guest.sh("ip link add other type wireguard; wg set other listen-port 51820; ip link set other up");
  const { code, stderr } = await machine.refused("--backend", "kernel");
  equal(code, 2, "the exit code is that of ip");
  match(stderr, /\nhint: another program uses UDP port 51820; choose another ListenPort/);
  await guest.ok("ip", "link", "delete", "other");
}

/**
 * Root of a user namespace can use the kernel's WireGuard in its own network, but has no rights in the network outside.
 */
async function userNamespace(machine: Machine): Promise<void> {
  const { guest } = machine;
  await machine.write(file());
  const inside = await guest.run(["unshare", "-Urn", WGD, "quick", "up", "wg0", "--backend", "auto"]);
  equal(inside.code, 0, inside.stderr);
  match(inside.stderr, /^\[#\] ip link add wg0 type wireguard\n\[#\] wg addconf/);
  // Its network namespace is gone, and with it the interface.
  await guest.sh("rm /run/wgd/*.json");
  const outside = await guest.run(["unshare", "-Ur", WGD, "quick", "up", "wg0", "--backend", "kernel"]);
  equal(outside.code, 1);
  match(outside.stderr, /: Unable to create interface: Operation not permitted\nhint: .*CAP_NET_ADMIN/);
}

async function notLoaded(machine: Machine): Promise<void> {
  const { guest } = machine;
  await machine.write(file());
  await guest.sh(
    "rmmod wireguard; cp /proc/sys/kernel/modprobe /tmp/modprobe; echo /bin/false > /proc/sys/kernel/modprobe",
  );
  deepEqual((await machine.quick("up", "wg0")).slice(0, 4), [
    "[#] ip link add wg0 type wireguard",
    "[!] the kernel has no WireGuard; wgd runs the interface",
    "[#] wgd run wg0",
    "[#] wg addconf wg0 /dev/fd/63",
  ]);
  match(await machine.index(), / tun$/);
  await machine.ping();
  equal((await machine.json("quick", "status")).backend, "wgd");
  await machine.quick("down", "wg0");

  const hint = async () => {
    const { code, stderr } = await machine.refused("--backend", "kernel");
    equal(code, 1);
    match(stderr, /\nwgd: Unable to create interface: Operation not supported\nhint: /);
    return stderr;
  };
  match(await hint(), /it was not loaded; "modprobe wireguard" says why/);
  await guest.sh(
    "sed -i /wireguard/d /lib/modules/*/modules.dep; cat /tmp/modprobe > /proc/sys/kernel/modprobe",
  );
  match(await hint(), /has no module wireguard; install a kernel that has it/);
  await guest.sh("echo 1 > /proc/sys/kernel/modules_disabled");
  match(await hint(), /kernel\.modules_disabled/);
}
