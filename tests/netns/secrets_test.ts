/**
 * How many copies of a key an interface's process has, and that none is left when it should have none.
 *
 * JavaScript strings are not searched: the text of a request contains keys in hexadecimal, and nothing can erase it
 * before the garbage collector reuses its memory.
 *
 * @module
 */

import { deepEqual } from "node:assert/strict";
import { x25519 } from "@noble/curves/ed25519.js";
import { eventually } from "./lab/exec.ts";
import { Host, type Process } from "./lab/host.ts";
import { generateKeys, generatePresharedKey } from "./lab/keys.ts";
import { occurrences } from "./lab/memory_search.ts";
import { ADDRESSES, Pair } from "./lab/pair.ts";
import { rootTest } from "./lab/rooted.ts";
import { pingUntilAnswered } from "./lab/traffic.ts";

const MODULE = new URL("../../mod.ts", import.meta.url).href;

/**
 * Copies of our private key, of the preshared key and of the secret of both static keys in a process. Their second halves
 * are looked for: the first bytes of freed memory are overwritten by the allocator.
 */
function copies(host: Host, { pid }: Process, secrets: readonly Uint8Array[]): number[] {
  return occurrences(host.path(`/proc/${pid}`), secrets.map((secret) => secret.subarray(secret.length / 2)));
}

function secretsOf(privateKey: string, presharedKey: string, peer: string): Uint8Array[] {
  const own = Uint8Array.fromBase64(privateKey);
  const shared = x25519.getSharedSecret(own, Uint8Array.fromBase64(peer));
  return [own, Uint8Array.fromBase64(presharedKey), shared];
}

await rootTest("a process has one copy of each key, and none of a key that was removed", {}, async () => {
  await using pair = await Pair.create("wgd");
  await using tunnels = await pair.tunnels({ presharedKey: true });
  await pingUntilAnswered(pair.near, ADDRESSES.far.inside[4]);
  const { near } = tunnels;
  const [own, peer] = (await near.wg("show", "wg0", "dump")).trim().split("\n").map((line) =>
    line.split("\t")
  );
  const secrets = secretsOf(own![0]!, peer![1]!, peer![0]!);
  const now = () => copies(pair.near, near.process!, secrets);
  const key = `${pair.near.scratch}/key`;
  await Deno.writeTextFile(pair.near.path(key), own![0]!);
  deepEqual(now(), [1, 1, 1]);
  for (let i = 0; i < 3; i++) await near.set("private-key", key);
  deepEqual(now(), [1, 1, 1], "setting the same private key again leaves one copy of each secret");
  await near.set("peer", peer![0]!, "remove");
  deepEqual(now(), [1, 0, 0], "removing the peer erases its secrets");
  await near.set("private-key", "/dev/null");
  deepEqual(now(), [0, 0, 0]);
});

await rootTest("a program whose tunnel was stopped has no copy of its keys", {}, async () => {
  await using host = await Host.create("program");
  const program = `${host.scratch}/program.ts`;
  await Deno.writeTextFile(
    host.path(program),
    `import { Tunnel } from "${MODULE}";
    const tunnel = await Tunnel.start("wg1");
    Deno.addSignalListener("SIGHUP", async () => {
      await tunnel.stop();
      console.log("stopped");
    });
    // The program continues.
    setInterval(() => {}, 1_000);`,
  );
  const process = await host.start([Deno.execPath(), "run", "-A", "--no-config", program]);
  const [us, anna] = [generateKeys(), generateKeys()];
  const presharedKey = generatePresharedKey();
  await eventually("the interface", async () => (await host.run(["wg", "show", "wg1"])).code === 0);
  await host.sh(`cd ${host.scratch}; cat > config; wg setconf wg1 config; ip link set wg1 up; rm config`, {
    stdin: `[Interface]
PrivateKey = ${us.privateKey}
[Peer]
PublicKey = ${anna.publicKey}
PresharedKey = ${presharedKey}
Endpoint = 127.0.0.1:9
PersistentKeepalive = 25
`,
  });
  const secrets = secretsOf(us.privateKey, presharedKey, anna.publicKey);
  // The last of them is computed for the first initiation.
  await eventually("the secrets", () => copies(host, process, secrets).every((count) => count === 1));
  await process.signal("HUP");
  await eventually("the end", () => process.output().includes("stopped"));
  deepEqual(copies(host, process, secrets), [0, 0, 0]);
});
