/**
 * The README's server for people, word for word, by root with a strict umask and one folder for everything.
 *
 * @module
 */

import { deepEqual, equal, match } from "node:assert/strict";
import { eventually } from "./lab/exec.ts";
import type { Host } from "./lab/host.ts";
import { generateKeys } from "./lab/keys.ts";
import { Network } from "./lab/network.ts";
import { section } from "./lab/readme.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const FOLDER = "/run/lab/admin";

/** The words that type a line as root, who has wgd and a sudo that has nothing to do. */
function typing(line: string): string[] {
  const script = `umask 077; cd ${FOLDER}; PATH=/run/lab/bin:$PATH; sudo() { exec "$@"; }; ${line}`;
  return ["bash", "-euo", "pipefail", "-c", script];
}

/** Runs a line, which must succeed. @returns Its output. */
async function type(host: Host, line: string): Promise<string> {
  const { code, stdout, stderr } = await host.run(typing(line));
  equal(code, 0, `${line}\nprinted:\n${stdout}${stderr}`);
  return stdout;
}

await rootTest("the README's server for people, in its own folders, with a strict umask", {
  programs: ["curl", "wg"],
}, async () => {
  await using network = await Network.create("server");
  const [server] = network.hosts;
  await server.ownEtc("");
  await server.sh(
    `mkdir -p ${FOLDER} /run/lab/bin /run/lab/var; mount --bind /run/lab/var /var/lib
     printf '#!/bin/sh\\nexec ${
      wgdCommand().join(" ")
    } "$@"\\n' > /run/lab/bin/wgd; chmod 755 /run/lab/bin/wgd
     echo 127.0.0.1 vpn.example >> /etc/hosts; echo a long password > ${FOLDER}/password.txt`,
  );
  const [block, ...more] = section("A server for people");
  deepEqual(more, []);
  const [init, serve, addToken, authority, addDevice, ...others] = block!.replaceAll("\\\n", "").trim()
    .split("\n");
  deepEqual(others, []);

  await type(server, init!);
  const running = await server.start(typing(serve!));
  await eventually("wgd web to listen", () => match(running.output(), /listening at https/) ?? true, {
    within: 30_000,
  });
  match(await server.ok("wg", "show", "wg0"), /listening port: 51820/);
  const token = (await type(server, addToken!)).trim();
  await type(server, authority!);
  const { publicKey } = generateKeys();
  const added = await type(server, `TOKEN=${token}; ${addDevice!.replace('"…"', `"${publicKey}"`)}`);
  match(JSON.parse(added).config, /Endpoint = vpn\.example:51820/);
  equal((await server.ok("wg", "show", "wg0", "peers")).trim(), publicKey);
  // The serving thread has one of root's capabilities left: CAP_NET_BIND_SERVICE.
  equal(
    await server.sh(
      `for status in /proc/[0-9]*/task/*/status; do
        if grep -q '^Uid:.65534.65534.65534.65534$' $status; then grep '^Cap[IPEA]' $status; fi
      done | cut -f 2 | sort -u`,
    ),
    "0000000000000000\n0000000000000400\n",
  );
  // Not only root may trust it.
  equal((await server.ok("stat", "-c", "%a", "/var/lib/wgd", "/var/lib/wgd/ca.pem")).trim(), "755\n644");

  await running.signal("INT");
  equal((await running.ended).code, 0, running.output());
});
