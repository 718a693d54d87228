/**
 * What `wgd proxy` says about a file before it starts.
 *
 * @module
 */

import { deepEqual } from "node:assert/strict";
import { readProxyTask } from "../../cli/proxy_task.ts";
import { formatKey } from "../../core/config/key.ts";
import { generatePrivateKey } from "../../core/keys.ts";
import { publicKey } from "../../core/public_key.ts";

/** What is said about a file with these lines, without its name. */
async function saidAbout(ours: string, peers: string): Promise<string[]> {
  const file = await Deno.makeTempFile({ suffix: ".conf" });
  const [own, other] = [generatePrivateKey(), publicKey(generatePrivateKey())];
  await Deno.writeTextFile(
    file,
    `[Interface]\nPrivateKey = ${formatKey(own)}\nAddress = 10.9.0.1/24\n${ours}
[Peer]\nPublicKey = ${formatKey(other)}\nAllowedIPs = 10.9.0.0/24\n${peers}`,
  );
  const said: string[] = [];
  try {
    await readProxyTask(file, { socks5: ["1080"] }, (line) => said.push(line.replace(file, "FILE")));
  } finally {
    await Deno.remove(file);
  }
  return said;
}

Deno.test("wgd proxy names the lines that have no effect without an interface", async () => {
  deepEqual(await saidAbout("PostUp = true\nTable = off", "Endpoint = 192.0.2.1:51820\n"), [
    "Warning: FILE: PostUp has no effect in a tunnel without an interface",
    "Warning: FILE: Table has no effect in a tunnel without an interface",
  ]);
});

Deno.test("wgd proxy warns if neither end could begin", async () => {
  deepEqual(await saidAbout("", ""), [
    "Warning: FILE: no peer can be reached, because none has an Endpoint and there is no ListenPort",
    "hint: add a line such as Endpoint = vpn.example.com:51820 to the server's [Peer]",
  ]);
  deepEqual(await saidAbout("ListenPort = 51820", ""), []);
  deepEqual(await saidAbout("", "Endpoint = 192.0.2.1:51820\n"), []);
});
