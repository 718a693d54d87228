/**
 * Interfaces that hooks or operators move to another network namespace or rename: `down` finds them by their process.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { Host } from "./lab/host.ts";
import { generateKeys } from "./lab/keys.ts";
import { connect, Network } from "./lab/network.ts";
import { rootTest } from "./lab/rooted.ts";
import { systemState } from "./lab/system_state.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const wgd = wgdCommand();
const PROGRAMS = ["wg", "ping", "nft"];
const [ours, theirs] = [generateKeys(), generateKeys()];
const FILE = "/run/lab/c.conf";

/** A client and its server; the client has a namespace X. */
async function hosts() {
  await using made = new AsyncDisposableStack();
  const network = made.use(await Network.create("server", "client"));
  const [server, client] = network.hosts;
  await connect(
    { host: server, name: "eth0", addresses: ["192.0.2.1/24"] },
    { host: client, name: "eth0", addresses: ["192.0.2.2/24"] },
  );
  await server.sh("umask 077; cat > /run/lab/srv.conf", {
    stdin: `[Interface]\nPrivateKey = ${theirs.privateKey}\nAddress = 10.7.0.1/24\nListenPort = 51820\n` +
      `[Peer]\nPublicKey = ${ours.publicKey}\nAllowedIPs = 10.7.0.2/32\n`,
  });
  equal((await quick(server, "up", "/run/lab/srv.conf")).code, 0);
  await client.sh("ip netns add X; until ip link show eth0 | grep -q 'state UP'; do sleep 0.05; done");
  made.move();
  return { network, client };
}

const quick = (host: Host, ...args: string[]) => host.run([...wgd, "quick", ...args]);

/** Writes the client's file, with hooks that leave a trace. */
async function write(client: Host, postUp: string): Promise<void> {
  await client.sh(`umask 077; cat > ${FILE}; rm -f /run/lab/trace`, {
    stdin: `[Interface]\nPrivateKey = ${ours.privateKey}\nAddress = 10.7.0.2/24\nTable = off\n` +
      `PostUp = ${postUp}\nPreDown = echo predown %i >> /run/lab/trace\n` +
      "PostDown = echo postdown %i >> /run/lab/trace\n" +
      `[Peer]\nPublicKey = ${theirs.publicKey}\nEndpoint = 192.0.2.1:51820\nAllowedIPs = 10.7.0.0/24\n`,
  });
}

/** Nothing is left of the interface: no process, a moment later, and no socket, record or link in either namespace. */
async function nothingRemains(client: Host): Promise<void> {
  await client.sh(`for i in $(seq 40); do pgrep -f 'run --foreground c$' || break; sleep 0.05; done`);
  const left = await client.sh(`
    pgrep -af 'run --foreground c$' || true
    ls /run/wireguard/* /run/wgd/*.json 2>/dev/null || true
    ip -br link show | grep -w 'c\\|other' || true
    ip -n X -br link show | grep -w 'c\\|other' || true`);
  equal(left, "");
}

/** Removes from the record what the previous version did not write. */
const oldRecord = (client: Host) =>
  client.sh(
    `sed -i -E 's/,"process":\\{[^}]*\\}//' /run/wgd/c@*.json; ! grep -q '"process"' /run/wgd/c@*.json`,
  );

const address = "address add 10.7.0.2/24 dev";
const CASES: [what: string, postUp: string, inside: string[], where: RegExp][] = [
  [
    "moved to another namespace",
    `ip link set %i netns X; ip -n X ${address} %i; ip -n X link set up dev %i`,
    ["ip", "netns", "exec", "X"],
    /^ +it is in the network namespace X$/m,
  ],
  [
    "renamed",
    `ip link set down dev %i; ip link set %i name other; ip link set up dev other`,
    [],
    /^ +its name is other now$/m,
  ],
  [
    "moved and renamed",
    `ip link set %i netns X name other; ip -n X ${address} other; ip -n X link set up dev other`,
    ["ip", "netns", "exec", "X"],
    /^ +it is in the network namespace X, as other$/m,
  ],
];

for (const [what, postUp, inside, where] of CASES) {
  await rootTest(`an interface that is ${what}: down runs its hooks and ends it, status reports where`, {
    programs: PROGRAMS,
  }, async () => {
    const { network, client } = await hosts();
    await using _network = network;
    const before = await systemState(client);
    await write(client, postUp);
    for (const old of [false, true]) {
      await client.sh("rm -f /run/lab/trace");
      const up = await quick(client, "up", FILE);
      equal(up.code, 0, up.stderr);
      await client.ok(...inside, "ping", "-c", "1", "-W", "3", "10.7.0.1");
      if (old) await oldRecord(client);
      const { stdout: status, stderr } = await quick(client, "status");
      equal(stderr, "");
      match(status, /^c: up \(wgd\), since/);
      if (!old) match(status, where);
      const second = await quick(client, "up", FILE);
      equal(second.code, 1, second.stderr);
      match(second.stderr, /^wgd: `c' already exists/);
      match(second.stderr, /^hint: .*wgd quick down c/m);
      await client.ok(...inside, "ping", "-c", "1", "-W", "3", "10.7.0.1");

      const dry = await quick(client, "down", FILE, "--dry-run");
      equal(dry.code, 0, dry.stderr);
      const down = await quick(client, "down", FILE);
      equal(down.code, 0, down.stderr);
      equal(await client.sh("cat /run/lab/trace"), "predown c\npostdown c\n");
      await nothingRemains(client);
      deepEqual(await systemState(client), before);
      equal(dry.stderr, down.stderr);
    }
  });
}

await rootTest("an interface that is moved and whose process was killed or hangs: down ends all of it", {
  programs: PROGRAMS,
}, async () => {
  const { network, client } = await hosts();
  await using _network = network;
  const before = await systemState(client);
  await write(client, CASES[0]![1]);
  for (const signal of ["KILL", "STOP"]) {
    equal((await quick(client, "up", FILE)).code, 0);
    await client.sh(`kill -${signal} $(pgrep -f 'run --foreground c$')`);
    const down = await quick(client, "down", FILE);
    equal(down.code, 0, down.stderr);
    equal(/^c has ended without/m.test(down.stderr), signal === "KILL", down.stderr);
    await nothingRemains(client);
    deepEqual(await systemState(client), before);
  }
});

await rootTest("a process with the reused PID of a killed one is not affected", {
  programs: PROGRAMS,
}, async () => {
  const { network, client } = await hosts();
  await using _network = network;
  await write(client, "true");
  equal((await quick(client, "up", FILE)).code, 0);
  const pid = (await client.sh("pgrep -f 'run --foreground c$'")).trim();
  await client.sh(`kill -KILL ${pid}; while [ -e /proc/${pid} ]; do sleep 0.05; done`);
  // The next process gets this PID.
  const sleeper = await client.start([
    "bash",
    "-c",
    `
    while :; do
      echo $((${pid} - 1)) > /proc/sys/kernel/ns_last_pid; sleep 1000 & [ $! = ${pid} ] && wait; kill $!
    done`,
  ]);
  await client.sh(
    `for i in $(seq 100); do grep -q sleep /proc/${pid}/comm && exit 0; sleep 0.05; done; exit 1`,
  );
  const down = await quick(client, "down", FILE);
  equal(down.code, 0, down.stderr);
  match(down.stderr, /^c has ended without/m);
  ok((await client.sh(`cat /proc/${pid}/comm`)).startsWith("sleep"));
  equal(await client.sh("ls /run/wgd/*.json 2>/dev/null || true"), "");
  await sleeper.signal("KILL");
});
