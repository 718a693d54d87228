/**
 * The shell script that sets up an empty network namespace. It has the steps of `wgd quick up`, without those that keep
 * the tunnel's own datagrams out of the tunnel, which are not sent here.
 *
 * @module
 */

import { containsPrefix } from "../config/prefix.ts";
import type { QuickOptions } from "../config/quick_config.ts";
import type { WgConfig } from "../config/wg_config.ts";
import { connected } from "../quick/plan/routes.ts";
import { resolvConfLines } from "../quick/plan/dns.ts";
import { ipWords } from "../quick/plan/step.ts";
import { planRest, type UpFacts } from "../quick/plan/up.ts";

/** What the script needs to know about the system. */
export interface ScriptFacts extends Pick<UpFacts, "routeMtus"> {
  /** The target of /etc/resolv.conf; undefined if there is none. */
  readonly resolvConf: string | undefined;
  /** A folder on which an empty file system is mounted for a moment. It is not on any other path below. */
  readonly stage: string;
  /** The existing folders of programs that look up names for others. */
  readonly resolvers: readonly string[];
  /** The group that may send ICMP echo requests without a capability. */
  readonly group: number;
}

/** Programs that look up names for others, outside of the tunnel, have their sockets in these folders. */
export const RESOLVER_FOLDERS = ["/run/systemd/resolve", "/run/nscd", "/var/run/nscd", "/run/avahi-daemon"];

/** Where a `stage` may be. */
export const STAGES = ["/tmp", "/mnt", "/srv", "/opt"];

/** The calls of `ip` for an interface's addresses, MTU and routes. The one with the MTU brings the interface up. */
export function addressing(
  name: string,
  quick: QuickOptions,
  wg: WgConfig,
  { routeMtus }: Pick<ScriptFacts, "routeMtus">,
): (readonly string[])[] {
  const facts: UpFacts = {
    routeMtus,
    usedTables: new Set(),
    srcValidMark: true,
    firewall: "none",
    dns: { by: "file", before: null },
  };
  // With a named table, the plan has no rules or marks, and includes the routes that the kernel otherwise makes itself.
  const plain = { ...quick, dns: [], postUp: [], table: "main" };
  const near = connected(quick);
  const peers = wg.peers.map((peer) => ({
    ...peer,
    allowedIps: peer.allowedIps.filter(({ prefix }) => !near.some((wider) => containsPrefix(wider, prefix))),
  }));
  return planRest(name, plain, { ...wg, peers }, facts).map((step) => ipWords(step) as readonly string[])
    .filter((words) => words.length > 0);
}

/** The MTU among these calls. */
export function plannedMtu(calls: readonly (readonly string[])[]): number {
  const words = calls.find((words) => words.includes("mtu"))!;
  return Number(words[words.indexOf("mtu") + 1]);
}

/** Writes the script. */
export function setupScript(
  name: string,
  quick: QuickOptions,
  calls: readonly (readonly string[])[],
  facts: ScriptFacts,
): string {
  const settings: [file: string, value: string][] = [
    // The kernel sends nothing into a tunnel by itself (`ffi/linux/quiet_interface.ts`).
    [`ipv6/conf/${name}/addr_gen_mode`, "1"],
    ["ipv4/ping_group_range", `${facts.group} ${facts.group}`],
  ];
  return [
    "set -e",
    // `ip` may be in a folder that is not in a user's PATH.
    'PATH="$PATH:/usr/sbin:/sbin"',
    ...settings.map(([file, value]) => `{ echo ${quote(value)} > /proc/sys/net/${file}; } 2>/dev/null || :`),
    "ip link set lo up",
    ...batches(calls),
    ...nameServers(quick, facts),
    "",
  ].join("\n");
}

/** Thousands of routes need only one process. */
function batches(calls: readonly (readonly string[])[]): string[] {
  const lines: string[] = [];
  for (let at = 0; at < calls.length;) {
    const family = calls[at]![1]!;
    let end = at + 1;
    if (family.startsWith("-")) { while (calls[end]?.[1] === family) end++; }
    const batch = calls.slice(at, end);
    lines.push(
      batch.length === 1
        ? batch[0]!.map(quote).join(" ")
        : `printf '%s\\n' ${
          batch.map(([, , ...words]) => quote(words.join(" "))).join(" ")
        } | ip ${family} -batch -`,
    );
    at = end;
  }
  return lines;
}

/** Replaces the machine's DNS servers by the file's, and hides programs that look up names for others. */
function nameServers(quick: QuickOptions, { resolvConf, stage, resolvers }: ScriptFacts): string[] {
  const mountAt = (folder: string) => `mount -t tmpfs -o mode=755,size=1m tmpfs ${quote(folder)}`;
  const hidden = resolvers.map(mountAt);
  if (quick.dns.length === 0 || resolvConf === undefined) return hidden;
  const text = `printf %s ${quote(resolvConfLines(quick))} >`;
  // The file of systemd-resolved is in the folder of its sockets.
  if (resolvers.some((folder) => resolvConf.startsWith(`${folder}/`))) {
    return [...hidden, `${text} ${quote(resolvConf)}`];
  }
  return [
    ...hidden,
    mountAt(stage),
    `${text} ${quote(`${stage}/resolv.conf`)}`,
    `mount --bind ${quote(`${stage}/resolv.conf`)} ${quote(resolvConf)}`,
    `umount -l ${quote(stage)}`,
  ];
}

function quote(word: string): string {
  return /^[\w./:=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
