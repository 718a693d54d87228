/**
 * Runs the commands of other pages, `cli/manual/from-wg-quick.md` and the README, on hosts of the lab.
 *
 * @module
 */

import { deepEqual, equal, match } from "node:assert/strict";
import { Host } from "./lab/host.ts";
import { formatConfig, generateKeys } from "./lab/keys.ts";
import { readPage, runPage } from "./lab/page.ts";
import { section } from "./lab/readme.ts";
import { rootTest } from "./lab/rooted.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const FOLDER = "/run/lab/reader";
const PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin";

/** A host with the built wgd as /usr/local/bin/wgd, beside Debian's wg and wg-quick. */
async function reader(): Promise<Host> {
  const host = await Host.create("here");
  await host.sh(`
    mkdir -p ${FOLDER} /etc/wireguard
    mount -t tmpfs -o mode=700 tmpfs /etc/wireguard
    mount -t tmpfs tmpfs /usr/local/bin
    ln -s ${ROOT}dist/wgd /usr/local/bin/wgd
    ip link add eth0 type veth peer name far; ip link set far up
    ip address add 192.0.2.2/24 dev eth0; ip link set eth0 up; ip route add default via 192.0.2.1`);
  return host;
}

await rootTest("the commands of from-wg-quick work as its page shows", {
  programs: ["wg", "wg-quick"],
}, async () => {
  await using host = await reader();
  await host.sh("umask 077; cat > /etc/wireguard/wg0.conf", {
    stdin: formatConfig({ privateKey: generateKeys().privateKey, quick: ["Address = 10.0.0.1/24"] }),
  });
  await host.sh("wg-quick up wg0", { env: { PATH, WG_QUICK_USERSPACE_IMPLEMENTATION: "wgd" } });
  const name = "cli/manual/from-wg-quick.md";
  const blocks = readPage(name, await Deno.readTextFile(`${ROOT}${name}`), { host: "here" });
  const done = await runPage(name, blocks, { hosts: { here: host }, folder: FOLDER, path: PATH });
  const skipped = blocks.filter(({ kind }) => kind === "not-run");
  console.log(`${name}: ${done} blocks run, ${skipped.length} not, which need systemd`);
  for (const { line, text } of skipped) console.log(`  line ${line}: ${text.trimEnd().replace(/\n/g, "; ")}`);
  equal(skipped.length, 3);
});

/** Runs a block of the README, which must succeed. @returns Its output, both streams. */
async function type(host: Host, code: string): Promise<string> {
  const script = `exec 2>&1; cd ${FOLDER}; ${code}`;
  const { code: status, stdout } = await host.run(["bash", "-euo", "pipefail", "-c", script], {
    env: { PATH },
  });
  equal(status, 0, `${code}printed:\n${stdout}`);
  return stdout;
}

const [here, there] = [generateKeys(), generateKeys()];
const CLIENT = formatConfig({
  privateKey: here.privateKey,
  quick: ["Address = 10.0.0.2/24"],
  peers: [{ publicKey: there.publicKey, allowedIps: ["10.0.0.0/24"], endpoint: "192.0.2.1:51820" }],
});

await rootTest("the README's interface by hand works", { programs: ["wg"] }, async () => {
  await using host = await reader();
  const [code, ...more] = section("By hand");
  deepEqual(more, []);
  await type(host, code!.replace("BASE64", there.publicKey));
  equal(await type(host, "wg show wg0 allowed-ips"), `${there.publicKey}\t10.0.0.2/32\n`);
  equal(await type(host, "wg show wg0 listen-port; wg show wg0 public-key | diff - publickey"), "51820\n");
  match(await type(host, "ip -brief address show dev wg0"), /^wg0 .*\b10\.0\.0\.1\/24/);
});

await rootTest(
  "the README's tunnel from a file comes up, is reloaded and goes down",
  { programs: ["wg"] },
  async () => {
    await using host = await reader();
    await host.sh(`umask 077; cat > ${FOLDER}/client.conf`, { stdin: CLIENT });
    const [first, second, ...more] = section("A tunnel from a configuration file");
    deepEqual(more, []);
    match(await type(host, first!), /^interface: client$/m);
    equal(await type(host, "wg show interfaces"), "");

    await type(host, "wgd quick up client.conf");
    await type(host, "echo 'PersistentKeepalive = 25' >> client.conf");
    const printed = await type(host, second!);
    match(printed, /^client\.conf: nothing is wrong$/m);
    match(printed, /^client: up \(wgd\), since /m);
    equal(await type(host, "wg show client persistent-keepalive"), `${there.publicKey}\t25\n`);
    await type(host, "wgd quick down client.conf");

    const [error] = section("A tunnel from a configuration file", "text");
    await type(host, "printf '[Interface]\\nPrivateKey = abc=\\n' > client.conf");
    const words = (text: string) => text.trim().split(/\s+/);
    deepEqual(
      words(await type(host, "wgd quick up client.conf || true")),
      words(error!),
      "the error is as the manual shows it",
    );
  },
);

await rootTest("the README's clients for a server are made, and one is shown as a QR code", {
  programs: ["wg", "zbarimg"],
}, async () => {
  await using host = await reader();
  await host.sh("umask 077; cat > /etc/wireguard/wg0.conf", {
    stdin: formatConfig({
      privateKey: here.privateKey,
      listenPort: 51820,
      quick: ["Address = 10.0.0.1/24, fd00::1/64"],
    }),
  });
  await type(host, "wgd quick up wg0");
  const [clients] = section("Clients for a server");
  match(await type(host, clients!), /\bAnna\b.*10\.0\.0\.2\/32/);
  const [phone] = section("A tunnel on a phone");
  await type(host, "cp Anna.conf phone.conf");
  match(await type(host, phone!), /█|▀|▄/);
  const scanned = await host.sh(`zbarimg --quiet --raw -Sdisable -Sqrcode.enable ${FOLDER}/phone.png`);
  match(scanned, /^\[Interface\]\n[^]*^Endpoint = vpn\.example:51820$/m);
});
