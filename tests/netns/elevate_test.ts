/**
 * `wgd quick` and a link named `wg-quick`, called by a user who is not root. The command is run again by a real sudo.
 *
 * @module
 */

import { equal, match } from "node:assert/strict";
import { V8_FLAGS } from "../../core/v8_flags.ts";
import { Host } from "./lab/host.ts";
import { generateKeys } from "./lab/keys.ts";
import { programsWithout } from "./lab/programs.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const wgd = wgdCommand();
const ROOT = new URL("../../", import.meta.url).pathname.replace(/\/$/, "");
const FOLDER = "/run/lab/bin";
const FILE = "/run/lab/e.conf";

/**
 * A host with a user who may run everything by sudo without a password. sudo warns if the host's name has no address.
 */
async function machine(): Promise<Host> {
  const host = await Host.create("client");
  await host.ownEtc("");
  await host.sh(
    `
    echo 'tester:x:12345:12345::/run/lab/home:/bin/sh' >> /etc/passwd
    echo 'tester:x:12345:' >> /etc/group
    echo "127.0.0.1 $(uname -n)" >> /etc/hosts
    echo 'tester:*:19000:0:99999:7:::' >> /etc/shadow
    rm -rf /etc/sudoers.d
    umask 0337; echo 'tester ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers; umask 022
    mkdir /run/lab/home ${FOLDER}; chown 12345 /run/lab/home
    umask 077; cat > ${FILE}`,
    { stdin: `[Interface]\nPrivateKey = ${generateKeys().privateKey}\n` },
  );
  return host;
}

const asUser = (host: Host, command: string[], env: Record<string, string> = {}, folder = "/") => {
  const variables = Object.entries({ HOME: "/run/lab/home", PATH: "/usr/bin:/usr/sbin", ...env });
  const user = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"];
  const words = [
    "env",
    "-i",
    "-C",
    folder,
    ...variables.map(([name, value]) => `${name}=${value}`),
    ...command,
  ];
  return host.run([...user, ...words]);
};

/** Brings the interface up and down, and causes an error whose message begins with the program's name. */
async function works(
  host: Host,
  name: string,
  command: string[],
  env: Record<string, string>,
  folder = "/",
): Promise<void> {
  for (const action of ["up", "down"]) {
    const { code, stderr } = await asUser(host, [...command, action, FILE], env, folder);
    equal(code, 0, `${command.join(" ")} ${action}: ${stderr}`);
    equal((await host.sh("ls /sys/class/net | grep -cx e || true")).trim(), action === "up" ? "1" : "0");
  }
  const missing = await asUser(host, [...command, "up", "/nothere.conf"], env, folder);
  equal(missing.code, 1);
  equal(missing.stderr, `${name}: \`/nothere.conf' does not exist\n`);
}

await rootTest(
  "a user who is not root gets root's work done by sudo: by a link, by its name, and by wgd quick",
  {
    programs: ["sudo"],
  },
  async () => {
    await using host = await machine();
    await host.sh(`touch ${FOLDER}/wgd; mount --bind ${wgd[0]} ${FOLDER}/wgd; ln -s wgd ${FOLDER}/wg-quick`);
    const path = { PATH: `${FOLDER}:/usr/bin:/usr/sbin` };
    await works(host, "wg-quick", [`${FOLDER}/wg-quick`], {});
    await works(host, "wg-quick", ["wg-quick"], path);
    await works(host, "wg-quick", ["./wg-quick"], {}, FOLDER);
    await works(host, "wgd", [`${FOLDER}/wgd`, "quick"], {});
    await works(host, "wgd", ["wgd", "quick"], path);
    const chosen = await asUser(host, ["wgd", "quick", "up", FILE, "--dry-run"], {
      ...path,
      WGD_BACKEND: "wgd",
    });
    match(chosen.stderr, /^\[#\] wgd run e\n/, "sudo passes no variables on, so wgd passes an option");
    // The exit code of a step that fails, and what needs no root.
    await host.sh(`sed -i '1a PostUp = exit 3' ${FILE}`);
    equal((await asUser(host, [`${FOLDER}/wg-quick`, "up", FILE])).code, 3);
    equal((await asUser(host, [`${FOLDER}/wg-quick`, "help"])).code, 0);
  },
);

await rootTest("from its source, too", { programs: ["sudo"] }, async () => {
  await using host = await machine();
  const cache = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  const { denoDir } = JSON.parse(new TextDecoder().decode(cache.stdout));
  await host.sh(`
    mkdir /run/lab/src /run/lab/cache; mount --bind ${ROOT} /run/lab/src; mount --bind ${denoDir} /run/lab/cache
    touch ${FOLDER}/deno; mount --bind ${Deno.execPath()} ${FOLDER}/deno`);
  const deno = [`${FOLDER}/deno`, "run", "--allow-all", "--quiet", `--v8-flags=${V8_FLAGS}`];
  await works(host, "wgd", [...deno, "/run/lab/src/cli/main.ts", "quick"], { DENO_DIR: "/run/lab/cache" });
});

await rootTest(
  "without sudo it says that root is needed, and what works without",
  { programs: [] },
  async () => {
    await using host = await machine();
    await host.sh(`touch ${FOLDER}/wgd; mount --bind ${wgd[0]} ${FOLDER}/wgd`);
    const path = { PATH: await programsWithout(host, "sudo") };
    const device = async (mode: string) => {
      const tun = `/run/lab/tun-${mode}`;
      await host.sh(`mknod -m ${mode} ${tun} c 10 200; mount --bind ${tun} /dev/net/tun`);
    };
    // As on a machine without udev.
    await device("600");
    const { code, stderr } = await asUser(host, [`${FOLDER}/wgd`, "quick", "up", FILE], path);
    equal(code, 1, stderr);
    match(stderr, /must be run as root\nhint: this machine has no sudo/);
    match(stderr, /\nhint: wgd exec does not work here: \/dev\/net\/tun cannot be opened\n/);
    match(
      stderr,
      /: wgd proxy FILE --socks5 1080 \(FILE is a copy of \/run\/lab\/e\.conf that you can read\)\n$/,
    );
    await device("666");
    await host.sh(`chmod 644 ${FILE}`);
    const able = await asUser(host, [`${FOLDER}/wgd`, "quick", "up", FILE], path);
    match(able.stderr, /\nhint: without root, for one program: wgd exec \/run\/lab\/e\.conf -- PROGRAM\n/);
  },
);
