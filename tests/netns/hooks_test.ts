/**
 * Hooks: they have the same environment as in wg-quick, and find `wg` and `wg-quick` on a machine that only has wgd.
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
const [keys, peer] = [generateKeys(), generateKeys()];
const FILE = "/run/lab/etc/h.conf";
const TRACE = "/run/lab/trace";

async function machine(hooks: string): Promise<Host> {
  const host = await Host.create("client");
  await host.sh(`mkdir /run/lab/etc; umask 077; cat > ${FILE}; ln -s ${FILE} /run/lab/h.conf`, {
    stdin:
      `[Interface]\nPrivateKey = ${keys.privateKey}\nAddress = 10.0.0.2/24\nFwMark = 0x4d2\nTable = off\n` +
      `${hooks}\n[Peer]\nPublicKey = ${peer.publicKey}\nAllowedIPs = 10.0.0.0/24\n`,
  });
  return host;
}

/** Hooks that print their environment, in the shell and in its children, and hooks that a shell may end early. */
const HOOKS: [what: string, hooks: string][] = [
  ["variables", `PostUp = echo "$INTERFACE|$CONFIG_FILE|%i|$LC_ALL" >> ${TRACE}`],
  [
    "variables before and after",
    ["PreUp", "PostUp", "PreDown", "PostDown"].map((hook) =>
      `${hook} = echo "${hook} $INTERFACE $CONFIG_FILE" >> ${TRACE}`
    ).join("\n"),
  ],
  ["a command in the middle that fails", `PostUp = false; echo on >> ${TRACE}`],
  ["a pipe whose first command fails", `PostUp = (exit 4) | cat; echo on >> ${TRACE}`],
  [
    "a failure that is handled",
    `PostUp = false || echo handled >> ${TRACE}; if ! false; then echo on >> ${TRACE}; fi`,
  ],
  ["patterns of bash", `PostUp = [[ aaab == +(a)b ]] && echo yes >> ${TRACE}`],
  ["an exit code", `PostUp = exit 7`],
];

for (const [what, hooks] of HOOKS) {
  await rootTest(
    `hooks work as with wg-quick: ${what}`,
    { programs: ["wg", "wg-quick"] },
    async () => {
      const results = [];
      for (const program of [[...wgd, "quick"], ["wg-quick"]]) {
        await using host = await machine(hooks);
        await host.sh(`cat > /run/lab/wgd; chmod 755 /run/lab/wgd`, {
          stdin: `#!/bin/sh\nexec ${wgd.join(" ")} run "$1"\n`,
        });
        const env = program[0] === "wg-quick" ? { WG_QUICK_USERSPACE_IMPLEMENTATION: "/run/lab/wgd" } : {};
        const codes = [];
        for (const action of ["up", "down"]) {
          codes.push((await host.run([...program, action, "/run/lab/h.conf"], { env })).code);
        }
        results.push({ codes, trace: await host.sh(`cat ${TRACE} 2>/dev/null || true`) });
      }
      deepEqual(results[0], results[1]);
    },
  );
}

await rootTest("hooks find wg, wg-quick and wgd on a machine that has none of them in its PATH", {
  programs: ["nft"],
}, async () => {
  const hooks =
    `PostUp = wg show %i fwmark >> ${TRACE}; wg-quick strip %i.conf | grep -c PublicKey >> ${TRACE}\n` +
    `PostUp = wgd --version >> ${TRACE}; sh -c 'echo $INTERFACE' >> ${TRACE}\n` +
    `PreDown = nft add table ip h-$(wg show %i fwmark)\n`;
  await using host = await machine(hooks);
  const path = await programsWithout(host, "wg", "wg-quick", "wgd");
  const call = (action: string) =>
    host.run(["env", "-C", "/run/lab/etc", `PATH=${path}`, ...wgd, "quick", action, FILE]);
  for (const round of [1, 2]) {
    const up = await call("up");
    equal(up.code, 0, up.stderr);
    match(await host.sh(`cat ${TRACE}`), /^0x4d2\n1\nwgd \S+\nh\n$/);
    // Others cannot put programs there.
    equal(await host.sh("stat -c '%a %u' /run/wgd/bin; ls /run/wgd/bin"), "700 0\nwg\nwg-quick\nwgd\n");
    const down = await call("down");
    equal(down.code, 0, down.stderr);
    match(await host.sh("nft list tables"), /table ip h-0x4d2/);
    // A link to another target, as after an upgrade, is replaced.
    await host.sh(
      `rm ${TRACE}; nft flush ruleset; rm /run/wgd/bin/wg; ln -s /nowhere/${round} /run/wgd/bin/wg`,
    );
  }
  // The machine's own wg takes precedence.
  await host.sh(`printf '#!/bin/sh\\necho 0x77\\n' > ${path}/wg; chmod 755 ${path}/wg`);
  equal((await call("up")).code, 0);
  match(await host.sh(`cat ${TRACE}`), /^0x77\n/);
  equal((await call("down")).code, 0);
  // A folder that others can write to is not used.
  await host.sh(`rm ${path}/wg; chmod 777 /run/wgd/bin`);
  const open = await call("up");
  equal(open.code, 1, open.stderr);
  match(open.stderr, /^wgd: others can write to \/run\/wgd\/bin\nhint: /m);
});
