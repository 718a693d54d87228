/**
 * Tests the result of `wgd install` under a systemd that boots.
 *
 * @module
 */

import { equal, match, ok } from "node:assert/strict";
import { resolve } from "node:path";
import { Booted, MACHINE } from "./lab/booted.ts";
import { generateKeys } from "./lab/keys.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const SERVICE = "wgd-quick@wg0.service";
const CONFIG = `[Interface]
PrivateKey = ${generateKeys().privateKey}
Address = 10.0.0.1/24
ListenPort = 51820

[Peer]
PublicKey = ${generateKeys().publicKey}
AllowedIPs = 10.0.0.2/32
`;

/** Boots a machine on which wgd was installed and an interface enabled. */
async function boot(): Promise<Booted> {
  const [program] = wgdCommand();
  return await Booted.create(`
    (umask 077; cat > /etc/wireguard/wg0.conf <<'END'\n${CONFIG}END
    )
    ${MACHINE}${resolve(program!)} install
    systemctl enable ${SERVICE}`);
}

await rootTest(
  "an enabled interface is up after boot, can be reloaded without interruption, and stops",
  { programs: ["systemctl"] },
  async () => {
    await using machine = await boot();
    const state = async () => (await machine.run("systemctl", "is-active", SERVICE)).stdout.trim();
    const port = async () => (await machine.ok("wgd", "show", "wg0", "listen-port")).trim();
    const index = async () => (await machine.ok("cat", "/sys/class/net/wg0/ifindex")).trim();

    equal(await state(), "active", (await machine.run("systemctl", "status", SERVICE)).stdout);
    match(await machine.ok("ip", "-o", "address", "show", "wg0"), /inet 10\.0\.0\.1\/24/);
    equal(await port(), "51820");
    equal(await machine.ok("stat", "-c", "%a", "/var/cache/wgd"), "700\n");

    const before = await index();
    await machine.write("/etc/wireguard/wg0.conf", CONFIG.replace("51820", "51821"));
    await machine.ok("systemctl", "reload", SERVICE);
    equal(await port(), "51821");
    equal(await index(), before, "it is the same interface");

    await machine.ok("systemctl", "restart", "wgd-quick.target");
    equal(await state(), "active");
    ok(await index() !== before, "restarting the target restarts its interfaces");

    await machine.ok("systemctl", "stop", SERVICE);
    equal(await state(), "inactive");
    equal((await machine.run("ip", "link", "show", "wg0")).code, 1);
    equal(await machine.ok("sh", "-c", "pgrep -cx wgd || true"), "0\n");
  },
);

await rootTest(
  "systemd accepts the unit without warnings, and with a wrong file it fails and leaves nothing behind",
  { programs: ["systemctl"] },
  async () => {
    await using machine = await boot();
    const verified = await machine.run("systemd-analyze", "verify", "--man=no", SERVICE, "wgd-quick.target");
    equal(verified.stdout + verified.stderr, "");
    equal(verified.code, 0);

    await machine.write("/etc/wireguard/wg1.conf", CONFIG.replace("Address", "PreUp = exit 7\nAddress"));
    const { code } = await machine.run("systemctl", "start", "wgd-quick@wg1");
    equal(code, 1);
    match((await machine.run("systemctl", "show", "-p", "ExecMainStatus", "wgd-quick@wg1")).stdout, /=7$/m);
    equal((await machine.run("ip", "link", "show", "wg1")).code, 1);
  },
);

await rootTest(
  "wgd can be replaced and uninstalled while its interfaces run",
  { programs: ["systemctl"] },
  async () => {
    await using machine = await boot();
    const path = "/usr/local/bin/wgd";
    const inode = async () => await machine.ok("stat", "-c", "%i", path);
    const unchanged = await machine.ok(path, "install");
    ok(unchanged.split("\n").every((line) => line === "" || line.startsWith("unchanged ")), unchanged);

    // An older version: the same program with additional bytes after its archive or its sections.
    const before = await inode();
    await machine.ok("cp", path, "/tmp/newer");
    await machine.ok(
      "sh",
      "-c",
      "echo >> /usr/local/bin/wgd; echo '# older' >> /usr/local/share/man/man8/wgd.8",
    );
    const replaced = await machine.ok("/tmp/newer", "install");
    match(replaced, /^replaced \/usr\/local\/bin\/wgd$/m);
    match(replaced, /^replaced \/usr\/local\/share\/man\/man8\/wgd\.8$/m);
    ok(await inode() !== before, "the old file is not written to");
    equal(await machine.ok("sh", "-c", "find /usr/local -name '*.old' -o -name '*.new'"), "");
    await machine.ok("cmp", path, "/tmp/newer");
    match(await machine.ok("wgd", "show", "wg0", "listen-port"), /51820/);

    await machine.ok("systemctl", "disable", "--now", SERVICE);
    await machine.ok("wgd", "uninstall");
    equal(await machine.ok("find", "/usr/local", "-type", "f"), "");
    equal((await machine.run("systemctl", "cat", SERVICE)).code, 1);
  },
);
