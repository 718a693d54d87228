/**
 * wgd as the tool for interfaces of the kernel's own module: beside `wg`, in a guest, since most machines that run tests
 * have no such module.
 *
 * @module
 */

import { deepEqual, equal, match } from "node:assert/strict";
import type { Finished } from "./lab/exec.ts";
import { eventually } from "./lab/exec.ts";
import { Guest } from "./lab/guest.ts";
import { imageWith, putWgd, WGD } from "./lab/guest_files.ts";
import { Host } from "./lab/host.ts";
import { type Config, formatConfig, generateKeys, generatePresharedKey } from "./lab/keys.ts";
import { rootTest } from "./lab/rooted.ts";
import { peer } from "./peers/mod.ts";

const FILES = "/tests";
/** Each interface of wg's has one of wgd's beside it. */
const IF = /\b(?:theirs|ours)\b/g;
const us = generateKeys();
const far = generateKeys();
const many = Array.from({ length: 1_000 }, (_, i) => ({
  publicKey: generateKeys().publicKey,
  allowedIps: [`10.${i >> 8}.${i & 255}.0/24`, `10.${100 + (i >> 8)}.${i & 255}.1/32`, `fd00:0:0:${i.toString(16)}::/64`],
  ...(i % 3 === 0 && { presharedKey: generatePresharedKey() }),
  ...(i % 4 === 0 && { endpoint: `192.0.2.${i % 250}:${1000 + i}` }),
  ...(i % 4 === 1 && { endpoint: `[2001:db8::${i.toString(16)}]:${1000 + i}` }),
  ...(i % 5 === 0 && { persistentKeepalive: 1 + i }),
}));
/** One peer whose allowed IPs fit into no message. */
const wide = {
  publicKey: generateKeys().publicKey,
  allowedIps: Array.from({ length: 3_000 }, (_, i) => `172.16.${i >> 8}.${i & 255}/32`),
};
const files: Record<string, Config> = {
  "many.conf": { privateKey: us.privateKey, listenPort: 51820, fwmark: 7, peers: [...many.slice(0, 500), wide, ...many.slice(500)] },
};

/** Boots a guest with wgd and the files of these tests. */
async function bootGuest(host: Host): Promise<Guest> {
  await using image = await imageWith(await peer("kernel"), async (root) => {
    await putWgd(root);
    await Deno.mkdir(`${root}${FILES}`);
    for (const [name, config] of Object.entries(files)) {
      await Deno.writeTextFile(`${root}${FILES}/${name}`, formatConfig(config));
    }
  });
  return await Guest.boot("kernel", image, host, "tap0", 1024);
}

await rootTest("wgd reads and changes interfaces of the kernel as wg does", { peers: ["kernel"] }, async () => {
  await using host = await Host.create("host");
  await using guest = await bootGuest(host);
  await guest.sh("for name in theirs ours; do ip link add $name type wireguard; done");
  const t=performance.now();
  const say=(s:string)=>console.log(((performance.now()-t)/1000).toFixed(1), s);
  say((await guest.run(["wg", "setconf", "theirs", `${FILES}/many.conf`])).stderr);
  say((await guest.run([WGD, "setconf", "ours", `${FILES}/many.conf`])).stderr);
  const a=await guest.ok("wg","show","theirs","dump");
  const b=await guest.ok("wg","show","ours","dump");
  const c=await guest.ok(WGD,"show","theirs","dump");
  say(a.length+" "+(a===b)+" "+(a===c));
});
