/**
 * DNS lines with every program that manages DNS servers: brought up, changed by reload, removed, brought down.
 *
 * @module
 */

import { equal, match } from "node:assert/strict";
import { eventually } from "./lab/exec.ts";
import { Host } from "./lab/host.ts";
import { generateKeys } from "./lab/keys.ts";
import { rootTest } from "./lab/rooted.ts";
import { wgdCommand } from "./lab/tunnel.ts";
import { peer } from "./peers/mod.ts";

const wgd = wgdCommand();
const [us, server] = [generateKeys(), generateKeys()];
const FILE = "/run/lab/wg0.conf";
const ORIGINAL = "nameserver 192.0.2.53\n";

/** A host with a cable and its own /etc. */
async function machine(): Promise<Host> {
  const host = await Host.create("client");
  await host.sh(`
    mkdir /run/lab/bin; ip link add eth0 type veth peer name far; ip link set eth0 up
    ip address add 192.0.2.2/24 dev eth0`);
  await host.ownEtc(ORIGINAL);
  return host;
}

/** Applies a file with these DNS lines to the interface. */
async function quick(host: Host, action: string, dns: string, allowedIps = "10.0.0.0/24"): Promise<string> {
  const stdin = `[Interface]\nPrivateKey = ${us.privateKey}\nAddress = 10.0.0.2/24\n${dns}\n[Peer]\n` +
    `PublicKey = ${server.publicKey}\nEndpoint = 192.0.2.1:51820\nAllowedIPs = ${allowedIps}\n`;
  await host.sh(`umask 077; cat > ${FILE}`, { stdin });
  const env = { PATH: `/run/lab/bin:${Deno.env.get("PATH")}` };
  const { code, stderr } = await host.run([...wgd, "quick", action, FILE], { env });
  equal(code, 0, stderr);
  return stderr;
}

/** The sequence of a file's DNS lines: servers, others with a domain, none, some again, and the end. */
async function changes(
  host: Host,
  seen: (host: Host) => Promise<string>,
  expected: readonly string[],
): Promise<void> {
  const lines = ["DNS = 10.0.0.1", "DNS = 10.0.0.9, fd00::9, corp.example", "", "DNS = 10.0.0.7"];
  for (const [index, line] of lines.entries()) {
    const said = await quick(host, index === 0 ? "up" : "reload", line);
    equal(await seen(host), expected[index], `${line}\n${said}`);
    if (index > 0) equal(await quick(host, "reload", line), "", "a second reload has nothing to do");
  }
  await quick(host, "down", lines.at(-1)!);
  equal(await seen(host), expected.at(-1));
}

await rootTest("DNS lines that change are followed by /etc/resolv.conf, which comes back as it was", {
  programs: ["wg"],
}, async () => {
  await using host = await machine();
  await changes(host, async (host) => (await host.sh("cat /etc/resolv.conf")).replace(/^#.*\n/, ""), [
    "nameserver 10.0.0.1\n",
    "nameserver 10.0.0.9\nnameserver fd00::9\nsearch corp.example\n",
    ORIGINAL,
    "nameserver 10.0.0.7\n",
    ORIGINAL,
  ]);
});

await rootTest(
  "DNS lines that change are told to resolvconf, and taken back",
  { programs: ["wg"] },
  async () => {
    await using host = await machine();
    await host.sh("cat > /run/lab/bin/resolvconf; chmod 755 /run/lab/bin/resolvconf", {
      stdin: `#!/bin/sh
      case $1 in -a) (echo "$2"; cat) > /run/lab/list;; -d) rm -f /run/lab/list;; -l) cat /run/lab/list;; esac\n`,
    });
    await changes(host, (host) => host.sh("cat /run/lab/list 2>/dev/null || true"), [
      "wg0\nnameserver 10.0.0.1\n",
      "wg0\nnameserver 10.0.0.9\nnameserver fd00::9\nsearch corp.example\n",
      "",
      "wg0\nnameserver 10.0.0.7\n",
      "",
    ]);
    equal(await host.sh("cat /etc/resolv.conf"), ORIGINAL);
  },
);

await rootTest("a DNS tool that fails or is not there costs the DNS, not the tunnel, and is told", {
  programs: ["wg"],
}, async () => {
  await using host = await machine();
  await host.sh(
    "printf '#!/bin/sh\\necho resolvconf: no >&2; exit 1\\n' > /run/lab/bin/resolvconf; chmod 755 /run/lab/bin/resolvconf",
  );
  match(
    await quick(host, "up", "DNS = 10.0.0.1"),
    /^resolvconf: no\nWarning: "resolvconf -a wg0 -m 0 -x" failed with exit code 1\nhint: the tunnel is up, but its DNS servers are not in use;/m,
  );
  equal((await host.sh("wg show interfaces")).trim(), "wg0");
  await quick(host, "down", "");
});

/** systemd-resolved with its own bus, in a host. */
async function startResolved(host: Host): Promise<void> {
  const { libraries, daemon, resolvectl, bus } = await peer("systemd-resolved");
  const wrap = (name: string, program: string) => `
    printf '#!/bin/sh\\nLD_LIBRARY_PATH=${libraries} exec ${program} "$@"\\n' > /run/lab/bin/${name}
    chmod 755 /run/lab/bin/${name}`;
  await host.sh(
    `
    ${wrap("resolvectl", resolvectl)}
    ${wrap("systemd-resolved", daemon)}
    ${wrap("dbus-daemon", bus)}
    grep -q ^systemd-resolve: /etc/passwd || echo 'systemd-resolve:x:990:990::/:/usr/sbin/nologin' >> /etc/passwd
    grep -q ^systemd-resolve: /etc/group || echo 'systemd-resolve:x:990:' >> /etc/group
    grep -q ^messagebus: /etc/passwd || echo 'messagebus:x:991:991::/:/usr/sbin/nologin' >> /etc/passwd
    mkdir -p /run/dbus /run/systemd/resolve; chown systemd-resolve:systemd-resolve /run/systemd/resolve
    ln -sf /run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
    cat > /run/lab/bus.conf`,
    {
      stdin: `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
      "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
      <busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen><auth>EXTERNAL</auth>
      <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/><allow user="*"/></policy></busconfig>`,
    },
  );
  await host.start([
    "/run/lab/bin/dbus-daemon",
    "--config-file=/run/lab/bus.conf",
    "--nofork",
    "--nopidfile",
  ]);
  await eventually("the bus", () => host.sh("test -S /run/dbus/system_bus_socket && echo yes"));
  const resolved = await host.start(["/run/lab/bin/systemd-resolved"]);
  await eventually("systemd-resolved", () => host.sh("timeout 5 /run/lab/bin/resolvectl dns")).catch(
    (cause) => {
      throw new Error(`systemd-resolved does not answer: ${resolved.output()}`, { cause });
    },
  );
}

await rootTest("DNS lines that change are told to systemd-resolved itself, and taken back", {
  peers: ["systemd-resolved"],
}, async () => {
  await using host = await machine();
  await startResolved(host);
  // "Link 5 (wg0): 10.0.0.1". The interface's number is not compared, and a link without servers may be missing.
  const seen = async (what: string) => {
    const text = await host.sh(
      `ip link show wg0 >/dev/null 2>&1 && timeout 5 /run/lab/bin/resolvectl ${what} wg0 || true`,
    );
    return text.replace(/^Link \d+ \(wg0\): ?/, "").trim();
  };
  await changes(host, async () => `${await seen("dns")} | ${await seen("domain")}`, [
    "10.0.0.1 | ~.",
    "10.0.0.9 fd00::9 | corp.example",
    " | ",
    "10.0.0.7 | ~.",
    " | ",
  ]);
  await quick(host, "up", "DNS = 10.0.0.1, corp.example", "0.0.0.0/0");
  equal(`${await seen("dns")} | ${await seen("domain")}`, "10.0.0.1 | corp.example ~.");
  equal((await host.sh("readlink /etc/resolv.conf")).trim(), "/run/systemd/resolve/stub-resolv.conf");
  await quick(host, "down", "");
});
