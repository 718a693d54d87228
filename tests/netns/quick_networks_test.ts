/**
 * `wgd quick` with thousands of networks: few processes, and the same messages and results as with one process for
 * each.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { Finished } from "./lab/exec.ts";
import { Host } from "./lab/host.ts";
import { generateKeys } from "./lab/keys.ts";
import { rootTest } from "./lab/rooted.ts";
import { systemState } from "./lab/system_state.ts";
import { wgdCommand } from "./lab/tunnel.ts";

const wgd = wgdCommand();
const PROGRAMS = ["wg", "nft"];
const FILE = "/run/lab/wg0.conf";
const MANY = 3_000;
/** How the steps of a plan are done together, as a pattern of bash. */
const BATCH = "-[46]\\ *-batch\\ -";
const [us, them] = [generateKeys(), generateKeys()];

/** A file with `count` networks of IPv4, no two of which touch, and half as many of IPv6. */
function file(count: number, first = 0): string {
  const networks = Array.from({ length: count }, (_, i) => {
    const number = i + first;
    return i % 3 < 2 ? `10.${number >> 8}.${number & 255}.0/25` : `fd00:${number.toString(16)}::/64`;
  });
  return `[Interface]
PrivateKey = ${us.privateKey}
Address = 172.16.0.2/32, fd00:ffff::2/128

[Peer]
PublicKey = ${them.publicKey}
Endpoint = 192.0.2.1:51820
AllowedIPs = ${networks.join(", ")}
`;
}

/** A host on which `ip` is a script that counts its calls. */
async function counted(script = ""): Promise<Host> {
  const host = await Host.create("client");
  await host.sh(
    `
    ip link add eth0 type veth peer name far
    ip address add 192.0.2.2/24 dev eth0; ip link set eth0 up; ip link set far up
    mkdir -p /run/lab/bin; cat > /run/lab/bin/ip; chmod 755 /run/lab/bin/ip`,
    {
      stdin: `#!/bin/bash
real=${await realIp(host)}
echo "$*" >> /run/lab/calls
${script}
exec "$real" "$@"
`,
    },
  );
  return host;
}

const realIp = async (host: Host) => (await host.sh("readlink -f $(command -v ip)")).trim();

const env = { PATH: `/run/lab/bin:${Deno.env.get("PATH")}` };

async function quick(host: Host, action: string, text?: string): Promise<Finished & { calls: number }> {
  if (text !== undefined) await host.sh(`umask 077; cat > ${FILE}`, { stdin: text });
  await host.sh("rm -f /run/lab/calls");
  const finished = await host.run([...wgd, "quick", action, FILE], { env });
  return { ...finished, calls: Number(await host.sh("wc -l < /run/lab/calls || echo 0")) };
}

const routes = async (host: Host) =>
  (await host.sh("ip -4 route show dev wg0; ip -6 route show dev wg0")).trim().split("\n")
    .filter((line) => !/^(fe80|ff00|multicast|fd00:ffff)/.test(line));

await rootTest(`${MANY} networks: up, reload and down by a few calls of ip`, {
  programs: PROGRAMS,
}, async () => {
  await using host = await counted();
  const before = await systemState(host);
  const took: Record<string, number> = {};
  for (
    const [action, text, lines, left] of [
      ["up", file(MANY), MANY, MANY],
      // Half of them stay.
      ["reload", file(MANY, MANY / 2), MANY, MANY],
      ["down", undefined, 0, 0],
    ] as const
  ) {
    const start = performance.now();
    const { code, stderr, calls } = await quick(host, action, text);
    took[action] = Math.round(performance.now() - start);
    equal(code, 0, stderr.slice(-2_000));
    equal(stderr.match(/^\[#\] ip -[46] route (add|replace|delete) \S+ dev wg0$/gm)?.length ?? 0, lines);
    ok(calls < 60, `${action} called ip ${calls} times`);
    if (left > 0) equal((await routes(host)).length, left);
  }
  console.log(`${MANY} networks: ${JSON.stringify(took)} ms`);
  deepEqual(await systemState(host), before);
});

await rootTest("one failed route among many is named, and all steps are undone", {
  programs: PROGRAMS,
}, async () => {
  await using host = await counted();
  // On a route of the interface itself that a hook has made.
  const text = file(60).replace(
    "[Peer]",
    "PreUp = ip link set up dev %i; ip route add 10.0.30.0/25 dev %i\n[Peer]",
  );
  const before = await systemState(host);
  const { code, stderr } = await quick(host, "up", text);
  equal(code, 2, stderr);
  match(stderr, /\[#\] ip -4 route add 10\.0\.30\.0\/25 dev wg0\nRTNETLINK answers: File exists\n/);
  equal(/Command failed/.test(stderr), false, stderr);
  equal(stderr.match(/RTNETLINK/g)!.length, 1, stderr);
  match(stderr, /^hint: .*10\.0\.30\.0\/25/m);
  deepEqual(await systemState(host), before);
});

await rootTest(
  "an error that ends ip in the middle of a batch is named too",
  { programs: PROGRAMS },
  async () => {
    await using host = await counted(`
# As an argument that it cannot read does: no number of a line, and the lines before it are done.
if [[ "$*" == ${BATCH} ]]; then
  head -n 5 | "$real" "$@"
  echo "Error: something is wrong" >&2
  exit 1
fi
[[ "$*" == *10.0.30.0* ]] && { echo "Error: it is this one" >&2; exit 7; }
`);
    const before = await systemState(host);
    const { code, stderr } = await quick(host, "up", file(60));
    equal(code, 7, stderr);
    match(stderr, /\[#\] ip -4 route add 10\.0\.30\.0\/25 dev wg0\nError: it is this one\n/);
    equal(/File exists/.test(stderr), false, stderr);
    deepEqual(await systemState(host), before);
  },
);

/** Where `up` can be killed: the arguments of `ip` at that time, and what the script does before. */
const KILLS: readonly (readonly [when: string, call: string, before: string])[] = [
  // The system is asked for facts while the interface is made, and that is recorded once both have ended.
  [
    "before it has recorded its interface",
    "*-oneline*-batch\\ -",
    "until [ -e /sys/class/net/wg0 ]; do sleep 0.01; done",
  ],
  ["in the middle of a batch", BATCH, 'head -n 5 | "$real" "$@"'],
];
for (const [when, call, before] of KILLS) {
  await rootTest(`up that is killed ${when} is undone completely`, { programs: PROGRAMS }, async () => {
    await using host = await counted(`
if [[ "$*" == ${call} && -e /run/lab/victim ]]; then
  ${before}
  kill -9 $(cat /run/lab/victim)
fi
`);
    const state = await systemState(host);
    await host.sh(`umask 077; cat > ${FILE}`, { stdin: file(60) });
    const killed = await host.sh(
      `(sh -c 'echo $PPID' > /run/lab/victim; exec ${wgd.join(" ")} quick up ${FILE}) 2>&1 || echo $?`,
      { env },
    );
    match(killed, /^137$/m);
    await host.sh("rm /run/lab/victim");
    const { code, stderr } = await quick(host, "down");
    equal(code, 0, stderr);
    deepEqual(await systemState(host), state);
  });
}

await rootTest("an ip without batches, such as busybox's, is called for each command", {
  programs: [...PROGRAMS, "busybox"],
}, async () => {
  await using host = await counted('exec busybox ip "$@"');
  const before = await systemState(host);
  const up = await quick(host, "up", file(30));
  equal(up.code, 0, up.stderr);
  ok(up.calls > 30);
  equal((await routes(host)).length, 30);
  const down = await quick(host, "down");
  equal(down.code, 0, down.stderr);
  deepEqual(await systemState(host), before);
});
