/**
 * Interfaces whose names differ from those of their files.
 *
 * @module
 */

import { deepEqual, equal, match } from "node:assert/strict";
import { Host } from "./lab/host.ts";
import { generateKeys } from "./lab/keys.ts";
import { rootTest } from "./lab/rooted.ts";
import { systemState } from "./lab/system_state.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const wgd = wgdCommand();
const FOLDER = "/etc/wireguard";
const LONG = "provider-amsterdam-12";
const [us, server] = [generateKeys(), generateKeys()];
const head = `[Interface]\nPrivateKey = ${us.privateKey}\nAddress = 10.7.0.2/24\n`;
const peer = `[Peer]\nPublicKey = ${server.publicKey}\nAllowedIPs = 10.7.0.0/24\n`;

async function machine(): Promise<Host> {
  const host = await Host.create("client");
  await host.sh(`mount -t tmpfs -o mode=700 tmpfs ${FOLDER}`);
  return host;
}

const write = (host: Host, file: string, text: string) =>
  host.sh(`umask 077; cat > '${FOLDER}/${file}'`, { stdin: text });
const quick = (host: Host, ...args: string[]) => host.run([...wgd, "quick", ...args]);
const links = async (host: Host) =>
  (await host.sh("ip -o link show")).split("\n").flatMap((line) => /^\d+: ([^:@]+)/.exec(line)?.[1] ?? [])
    .filter((name) => name !== "lo");

await rootTest("a file whose name is too long: check also reports its mistakes", {}, async () => {
  await using host = await machine();
  await write(host, `${LONG}.conf`, `${head}Adress = 10.0.0.1\n${peer}Endpoint = nowhere\n`);
  const tooLong =
    /^The config file must be a valid interface name, followed by \.conf\nhint: .*"provider-amsterdam-12" has 21 characters, 6 too many.*; rename it, for example to amsterdam-12\.conf, or add the line "# wgd: Interface = amsterdam-12"/m;
  for (const target of [`${FOLDER}/${LONG}.conf`, LONG]) {
    const check = await quick(host, "check", target);
    equal(check.code, 1);
    match(check.stderr, tooLong);
    match(check.stderr, /^hint: \S*:4: Adress: /m);
    match(check.stderr, /^hint: \S*:8: Endpoint: /m);
    const up = await quick(host, "up", target);
    equal(up.code, 1);
    match(
      up.stderr,
      /^wgd: The config file must be a valid interface name, followed by \.conf\nhint: .*6 too many/,
    );
  }
  deepEqual(await links(host), []);
});

await rootTest("a name in the file: every action finds the interface by the file and by its name", {
  programs: ["wg"],
}, async () => {
  await using host = await machine();
  const file = `${FOLDER}/${LONG}.conf`;
  const before = await systemState(host);
  const text = `# wgd: Interface = ams12\n${head}${peer}`;
  for (const target of [file, LONG, "ams12"]) {
    await write(host, `${LONG}.conf`, text);
    equal((await quick(host, "check", file)).code, 0);
    equal((await quick(host, "up", file)).code, 0);
    deepEqual(await links(host), ["ams12"]);
    const status = JSON.parse((await quick(host, "status", target, "--json")).stdout).interfaces;
    deepEqual(status.map(({ name, file, changes }: Record<string, unknown>) => [name, file, changes]), [
      ["ams12", file, []],
    ]);
    await write(host, `${LONG}.conf`, text.replace("10.7.0.2/24", "10.7.0.3/24"));
    const reload = await quick(host, "reload", target);
    equal(reload.code, 0, reload.stderr);
    match(await host.sh("ip address show dev ams12"), /10\.7\.0\.3\/24/);
    await host.sh("ip address add 10.8.0.1/24 dev ams12");
    const save = await quick(host, "save", target);
    equal(save.code, 0, save.stderr);
    match(await host.sh(`cat ${file}`), /^# wgd: Interface = ams12\n[^]*10\.8\.0\.1\/24/);
    const down = await quick(host, "down", target);
    equal(down.code, 0, down.stderr);
    deepEqual(await systemState(host), before);
  }
});

await rootTest(
  "--interface sets its name: it is found by the file, and distinguished from another of the same file",
  {
    programs: ["wg"],
  },
  async () => {
    await using host = await machine();
    const file = `${FOLDER}/${LONG}.conf`;
    await write(host, `${LONG}.conf`, head + peer);
    equal((await quick(host, "up", file, "--interface", "ams13")).code, 0);
    deepEqual(await links(host), ["ams13"]);
    await write(host, `${LONG}.conf`, (head + peer).replace("10.7.0.2/24", "10.7.0.3/24"));
    const reload = await quick(host, "reload", file);
    equal(reload.code, 0, reload.stderr);
    match(await host.sh("ip address show dev ams13"), /10\.7\.0\.3\/24/);
    equal((await quick(host, "save", file)).code, 0);
    equal((await quick(host, "down", file)).code, 0);
    deepEqual(await links(host), []);

    await write(host, "c.conf", head + peer);
    for (const args of [["--interface=one", "c"], ["c", "--interface", "two"], ["c"]]) {
      equal((await quick(host, "up", ...args)).code, 0);
    }
    deepEqual((await links(host)).sort(), ["c", "one", "two"]);
    equal((await quick(host, "down", "c")).code, 0);
    deepEqual((await links(host)).sort(), ["one", "two"]);
    const which = await quick(host, "down", "c");
    equal(which.code, 1);
    match(which.stderr, /^wgd: .*c\.conf' has 2 interfaces: one, two\nhint: .*--interface one/);
    equal((await quick(host, "down", "c", "--interface", "two")).code, 0);
    equal((await quick(host, "down", "c")).code, 0);
    deepEqual(await links(host), []);
  },
);

await rootTest("an invalid name is refused, wherever it is", {}, async () => {
  await using host = await machine();
  await write(host, "c.conf", `# wgd: Interface = much-too-long-a-name\n${head}`);
  const inFile = await quick(host, "up", "c");
  equal(inFile.code, 1);
  match(inFile.stderr, /^hint: \S*c\.conf:1: Interface: .*has 20 characters, 5 too many/m);
  await write(host, "c.conf", head);
  for (
    const [name, why] of [["a/b", /has "\/", which/], ["", /is empty/], [
      "x".repeat(16),
      /1 too many/,
    ]] as const
  ) {
    const up = await quick(host, "up", "c", "--interface", name);
    equal(up.code, 1);
    match(up.stderr, why);
  }
  equal((await quick(host, "up", "c", "--interface")).code, 1);
  for (const name of ["my vpn.conf", "wg0.txt", ".conf"]) {
    await write(host, name, head);
    const up = await quick(host, "up", `${FOLDER}/${name}`);
    equal(up.code, 1);
    match(up.stderr, /^wgd: The config file must be a valid interface name, followed by \.conf\nhint: /);
  }
  deepEqual(await links(host), []);
});
