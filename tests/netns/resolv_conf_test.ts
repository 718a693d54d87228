/**
 * /etc/resolv.conf on machines where no program manages it: it is never lost, in any state of its folder.
 *
 * @module
 */

import { deepEqual, equal, match } from "node:assert/strict";
import { Host } from "./lab/host.ts";
import { generateKeys } from "./lab/keys.ts";
import { programsWithout } from "./lab/programs.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const wgd = wgdCommand();
const PROGRAMS = ["wg", "nft"];
const keys = generateKeys();
const CONF = "/etc/resolv.conf";

/** A host with an /etc of its own, 64 MiB in memory, and files for two interfaces. */
async function machine(): Promise<Host> {
  const host = await Host.create("client");
  await host.sh(`
    mkdir /run/etc; mount -t tmpfs -o size=64m,mode=755 none /run/etc
    cp -a /etc/. /run/etc; rm -f /run/etc/resolv.conf; mount --bind /run/etc /etc; umount -l /run/etc`);
  await write(host, "a", "10.0.0.1");
  await write(host, "b", "10.0.0.9");
  return host;
}

const write = (host: Host, name: string, server: string, hook = "") =>
  host.sh(`umask 077; cat > /run/lab/${name}.conf`, {
    stdin: `[Interface]\nPrivateKey = ${keys.privateKey}\nDNS = ${server}\n${hook}`,
  });

const call = (host: Host, action: string, name: string) =>
  host.run(["env", "PATH=/run/lab/programs", ...wgd, "quick", action, `/run/lab/${name}.conf`]);

/** Programs without those that manage /etc/resolv.conf. */
const withoutKeeper = (host: Host) => programsWithout(host, "resolvconf", "resolvectl");

/** What the file is: a link, its text, or nothing. */
const show = (host: Host) =>
  host.sh(
    `readlink ${CONF} || cat ${CONF} 2>/dev/null || echo nothing; ls /etc | grep 'resolv.*new' || true`,
  );

const ORIGINALS: [what: string, make: string][] = [
  ["a link", `ln -s /nowhere/stub.conf ${CONF}`],
  ["a file", `echo nameserver 192.0.2.53 > ${CONF}`],
  ["nothing", `rm -f ${CONF}`],
];

const BARRIERS: [what: string, close: string, open: string][] = [
  ["read-only", "mount -o remount,bind,ro /etc", "mount -o remount,bind,rw /etc"],
  ["immutable", "chattr +i /etc", "chattr -i /etc"],
  [
    "full",
    "dd if=/dev/zero of=/etc/.fill bs=1M status=none 2>/dev/null || true",
    "rm -f /etc/.fill*",
  ],
];

for (const [what, close, open] of BARRIERS) {
  await rootTest(`a folder that is ${what}: /etc/resolv.conf does not change, or is restored`, {
    programs: PROGRAMS,
  }, async () => {
    await using host = await machine();
    await withoutKeeper(host);
    for (const [original, make] of ORIGINALS) {
      await host.sh(`rm -f ${CONF}; ${make}`);
      const before = await show(host);

      // During `up` this is a warning, and the file is either replaced or unchanged.
      await host.sh(close);
      const up = await call(host, "up", "a");
      equal(up.code, 0, up.stderr);
      const during = await show(host);
      if (!/nameserver 10\.0\.0\.1/.test(during)) {
        equal(during, before, original);
        match(up.stderr, /^Warning: cannot write "\/etc\/resolv\.conf": .*\nhint: .*DNS/m);
      }
      await host.sh(open);
      equal((await call(host, "down", "a")).code, 0);
      equal(await show(host), before, original);

      // During `down` this is an error, and the original is kept until it is restored.
      equal((await call(host, "up", "a")).code, 0);
      match(await show(host), /nameserver 10\.0\.0\.1/);
      await host.sh(close);
      const down = await call(host, "down", "a");
      equal(await host.sh("ls /run/wireguard"), "");
      if (down.code !== 0) {
        equal(down.code, 1, down.stderr);
        match(
          down.stderr,
          /^wgd: cannot restore \/etc\/resolv\.conf: .*\nhint: .*wgd quick down a.*\/run\/wgd\/a@/m,
        );
        match(await show(host), /nameserver 10\.0\.0\.1/);
        const again = await call(host, "up", "a");
        equal(again.code, 1, again.stderr);
        match(again.stderr, /cannot restore \/etc\/resolv\.conf/);
        await host.sh(open);
        const second = await call(host, "down", "a");
        equal(second.code, 0, second.stderr);
      } else await host.sh(open);
      equal(await show(host), before, original);
      equal(await host.sh("ls /run/wgd | grep json || true"), "");
    }
  });
}

await rootTest("a file that is immutable, or a mount in a container: it is kept, or written in place", {
  programs: PROGRAMS,
}, async () => {
  await using host = await machine();
  await withoutKeeper(host);
  await host.sh(`echo nameserver 192.0.2.53 > ${CONF}; chattr +i ${CONF}`);
  const before = await show(host);
  const up = await call(host, "up", "a");
  equal(up.code, 0, up.stderr);
  match(up.stderr, /^Warning: cannot write "\/etc\/resolv\.conf": Operation not permitted\nhint: .*lsattr/m);
  equal(await show(host), before);
  equal((await call(host, "down", "a")).code, 0);
  await host.sh(`chattr -i ${CONF}`);

  await host.sh(`echo nameserver 192.0.2.54 > /run/lab/mounted; mount --bind /run/lab/mounted ${CONF}`);
  for (const state of ["rw", "ro"]) {
    await host.sh(`mount -o remount,bind,${state} /etc`);
    const mounted = await call(host, "up", "a");
    equal(mounted.code, 0, mounted.stderr);
    match(await host.sh("cat /run/lab/mounted"), /nameserver 10\.0\.0\.1/, state);
    equal((await call(host, "down", "a")).code, 0);
    equal(await host.sh("cat /run/lab/mounted"), "nameserver 192.0.2.54\n");
  }
});

await rootTest("an up that fails after the folder became read-only keeps the original file", {
  programs: PROGRAMS,
}, async () => {
  await using host = await machine();
  await withoutKeeper(host);
  await host.sh(`ln -s /nowhere/stub.conf ${CONF}`);
  await write(host, "a", "10.0.0.1", "PostUp = mount -o remount,bind,ro /etc; exit 3\n");
  const up = await call(host, "up", "a");
  equal(up.code, 3, up.stderr);
  match(up.stderr, /cannot restore \/etc\/resolv\.conf: Read-only file system\nhint: /);
  await host.sh("mount -o remount,bind,rw /etc");
  equal((await call(host, "down", "a")).code, 0);
  equal(await show(host), "/nowhere/stub.conf\n");
});

await rootTest(
  "of two interfaces, the later one restores the file from before the first, also when it is busy",
  {
    programs: PROGRAMS,
  },
  async () => {
    await using host = await machine();
    await withoutKeeper(host);
    await host.sh(`ln -s /nowhere/stub.conf ${CONF}`);
    const hang = "PostUp = until [ -e /run/lab/go ]; do sleep 0.05; done\n";

    // The first goes down while the later one comes up: it waits for the other's record.
    await write(host, "b", "10.0.0.9", hang);
    equal((await call(host, "up", "a")).code, 0);
    const later = call(host, "up", "b");
    await host.sh(`until grep -q 10.0.0.9 ${CONF}; do sleep 0.05; done`);
    const first = call(host, "down", "a");
    await host.sh("sleep 1; touch /run/lab/go");
    deepEqual([(await later).code, (await first).code], [0, 0]);
    match(await show(host), /10\.0\.0\.9/);
    equal((await call(host, "down", "b")).code, 0);
    equal(await show(host), "/nowhere/stub.conf\n");

    // The first fails after the later one has replaced the file.
    await host.sh("rm /run/lab/go");
    await write(host, "a", "10.0.0.1", `${hang}PostUp = exit 3\n`);
    await write(host, "b", "10.0.0.9");
    const failing = call(host, "up", "a");
    await host.sh(`until grep -q 10.0.0.1 ${CONF}; do sleep 0.05; done`);
    equal((await call(host, "up", "b")).code, 0);
    await host.sh("touch /run/lab/go");
    equal((await failing).code, 3);
    match(await show(host), /10\.0\.0\.9/);
    equal((await call(host, "down", "b")).code, 0);
    equal(await show(host), "/nowhere/stub.conf\n");

    // The first loses its DNS line while the later one is up.
    await write(host, "a", "10.0.0.1");
    equal((await call(host, "up", "a")).code, 0);
    equal((await call(host, "up", "b")).code, 0);
    await host.sh("sed -i /DNS/d /run/lab/a.conf");
    equal((await call(host, "reload", "a")).code, 0);
    equal((await call(host, "down", "b")).code, 0);
    equal(await show(host), "/nowhere/stub.conf\n");
    equal((await call(host, "down", "a")).code, 0);
    equal(await show(host), "/nowhere/stub.conf\n");
  },
);
