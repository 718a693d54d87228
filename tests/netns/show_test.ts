/**
 * Features of `wgd show` beyond `wg show`: names, JSON, and a live view.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { Host } from "./lab/host.ts";
import { generateKeys } from "./lab/keys.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const wgd = wgdCommand();
const [us, anna] = [generateKeys(), generateKeys()];
const PRESHARED = generateKeys().privateKey;
const FILE = `[Interface]
PrivateKey = ${us.privateKey}
ListenPort = 51820

# Name = Anna
[Peer]
PublicKey = ${anna.publicKey}
PresharedKey = ${PRESHARED}
AllowedIPs = 10.0.0.2/32, fd00::2/128
Endpoint = 192.0.2.7:51820
PersistentKeepalive = 25
`;

/** A host with a running wg0, and its file where names are looked for. */
async function named(): Promise<Host> {
  const host = await Host.create("named");
  await host.sh(
    "mkdir -p /etc/wireguard; mount -t tmpfs tmpfs /etc/wireguard; umask 077; cat > /etc/wireguard/wg0.conf",
    {
      stdin: FILE,
    },
  );
  await host.ok(...wgd, "run", "wg0");
  await host.ok(...wgd, "setconf", "wg0", "/etc/wireguard/wg0.conf");
  return host;
}

await rootTest("wgd show --json has everything except secrets, and those with --secrets", {
  programs: ["wg"],
}, async () => {
  await using host = await named();
  const text = await host.ok(...wgd, "show", "wg0", "--json");
  const peer = {
    publicKey: anna.publicKey,
    name: "Anna",
    hasPresharedKey: true,
    endpoint: "192.0.2.7:51820",
    allowedIps: ["10.0.0.2/32", "fd00::2/128"],
    latestHandshake: null,
    rxBytes: 0,
    persistentKeepalive: 25,
  };
  const shown = JSON.parse(text);
  // The interface is down and has no route: what it sent is not what this test is about.
  delete shown.interfaces[0].peers[0].txBytes;
  deepEqual(shown, {
    interfaces: [{
      name: "wg0",
      backend: "wgd",
      publicKey: us.publicKey,
      listenPort: 51820,
      fwmark: null,
      peers: [peer],
    }],
  });
  ok(!text.includes(us.privateKey) && !text.includes(PRESHARED));
  const all = JSON.parse(await host.ok(...wgd, "show", "--json", "--secrets")).interfaces[0];
  equal(all.privateKey, us.privateKey);
  equal(all.peers[0].presharedKey, PRESHARED);
  match((await host.run([...wgd, "show", "wg0", "--jsno"])).stderr, /^wgd: .*--jsno[\s\S]*Usage: /);
});

await rootTest("names are only on terminals: piped output is wg's", { programs: ["wg"] }, async () => {
  await using host = await named();
  equal(await host.ok(...wgd, "show"), await host.ok("wg", "show"));
  match(
    await host.ok(...wgd, "show", "wg0", "--names"),
    new RegExp(`^peer: ${anna.publicKey.replace(/\W/g, "\\$&")} \\(Anna\\)$`, "m"),
  );
  const terminal = await host.ok("script", "-qec", `${wgd.join(" ")} show wg0`, "/dev/null");
  match(terminal, /\(Anna\)/);
});

await rootTest(
  "wgd show --watch draws in place and restores the terminal",
  { programs: ["script"] },
  async () => {
    await using host = await named();
    const command = `stty rows 30 cols 100; timeout --foreground --preserve-status -s INT 3 ${
      wgd.join(" ")
    } show wg0 --watch`;
    const { code, stdout } = await host.run(["script", "-qec", command, "/dev/null"]);
    equal(code, 0, stdout);
    ok(stdout.startsWith("\x1b[?1049h\x1b[?25l"), JSON.stringify(stdout.slice(0, 200)));
    ok(stdout.endsWith("\x1b[?25h\x1b[?1049l"), JSON.stringify(stdout.slice(-200)));
    const pictures = stdout.split("\x1b[H").slice(1);
    ok(pictures.length >= 2, `${pictures.length} pictures`);
    for (const picture of pictures) match(picture, /Anna[\s\S]*192\.0\.2\.7:51820[\s\S]*none yet/);
    const piped = await host.run([...wgd, "show", "wg0", "--watch"]);
    equal(piped.code, 1);
    match(piped.stderr, /^wgd: --watch needs a terminal\nhint: .*--json/);
  },
);
