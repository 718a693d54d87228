/**
 * Reads the facts about the system that a plan needs, with the system's own tools.
 *
 * @module
 */

import { formatScopedAddress, type SocketAddress } from "../config/endpoint.ts";
import type { QuickOptions } from "../config/quick_config.ts";
import type { WgConfig } from "../config/wg_config.ts";
import type { DeviceState } from "../uapi/get.ts";
import type { DnsKeeper } from "./plan/dns.ts";
import type { DownFacts } from "./plan/down.ts";
import type { Step } from "./plan/step.ts";
import type { UpFacts } from "./plan/up.ts";
import { readResolvConf, RESOLV_CONF } from "./resolv_conf.ts";
import { readProgram } from "./run_program.ts";

/** For a file without DNS lines. */
const NO_DNS: DnsKeeper = { by: "file", before: null };
const INTERFACE_ORDER = "/etc/resolvconf/interface-order";

/**
 * Reads what a plan of `up` for this file needs, and nothing else, because each query starts a process.
 *
 * @param endpoints The endpoints of the peers that have one.
 * @param fwmark The mark that keeps the tunnel's own datagrams out of the tunnel, if it is up.
 */
export async function upFacts(
  quick: QuickOptions,
  wg: WgConfig,
  endpoints: readonly (SocketAddress | undefined)[],
  fwmark = 0,
): Promise<UpFacts> {
  const everything = wg.peers.some(({ allowedIps }) => allowedIps.some(({ prefix }) => prefix.length === 0));
  const [mtus, ipv4, ipv6, srcValidMark, dns] = await Promise.all([
    quick.mtu === undefined ? routeMtus(endpoints, fwmark) : [],
    everything ? tables("-4") : [],
    everything ? tables("-6") : [],
    readText("/proc/sys/net/ipv4/conf/all/src_valid_mark"),
    quick.dns.length > 0 ? dnsKeeper() : NO_DNS,
  ]);
  return {
    routeMtus: mtus,
    usedTables: new Set([...ipv4, ...ipv6]),
    srcValidMark: srcValidMark === "1\n",
    firewall: await has("nft") ? "nft" : await has("iptables") ? "iptables" : "none",
    dns,
  };
}

/**
 * The state of an interface besides its WireGuard settings.
 *
 * @returns Undefined if there is no interface of that name, or no `ip`.
 */
export async function linkFacts(name: string): Promise<{ addresses: string[]; mtu: number } | undefined> {
  const text = await readProgram(["ip", "address", "show", "dev", name]);
  if (text === "") return undefined;
  return {
    addresses: [...text.matchAll(/ inet6? ([0-9a-f.:]+(?:\/[0-9]+)?)/g)].map(([, address]) => address!),
    mtu: Number(/ mtu ([0-9]+)/.exec(text)?.[1] ?? 0),
  };
}

/** Reads what a plan of `down` needs. */
export async function downFacts(name: string, state: DeviceState): Promise<DownFacts> {
  const { fwmark } = state;
  const hasDefaultRoute = state.peers.some(({ allowedIps }) => allowedIps.some(({ length }) => length === 0));
  const rules = [];
  if (fwmark !== 0 && hasDefaultRoute) {
    for (const family of ["-4", "-6"] as const) {
      const text = await readProgram(["ip", family, "rule", "show"]);
      for (const line of text.split("\n")) {
        if (line.includes(`lookup ${fwmark}`)) {
          rules.push({ family, words: ["table", String(fwmark)] });
        } else if (/\bfrom all lookup main suppress_prefixlength 0\b/.test(line)) {
          rules.push({ family, words: ["table", "main", "suppress_prefixlength", "0"] });
        }
      }
    }
  }
  return {
    fwmark,
    hasDefaultRoute,
    rules,
    firewall: await firewallRemoval(name),
    resolvconfPrefix: await resolvconfPrefix(),
  };
}

/**
 * The smallest MTU of the routes to the endpoints; without endpoints, that of the default route (wg-quick, set_mtu_up).
 */
async function routeMtus(
  endpoints: readonly (SocketAddress | undefined)[],
  fwmark: number,
): Promise<number[]> {
  const mark = fwmark === 0 ? "" : ` mark ${fwmark}`;
  const addresses = new Set(
    endpoints.flatMap((endpoint) =>
      endpoint === undefined || endpoint.scope !== 0 ? [] : [formatScopedAddress(endpoint)]
    ),
  );
  const questions = [...addresses].map((address) => `route get ${address}${mark}\n`);
  // One process queries all routes. A failed query does not stop the others.
  const input = ["link show\n", ...questions, "route show default\n"].join("");
  const lines = (await readProgram(["ip", "-oneline", "-force", "-batch", "-"], input)).split("\n");
  const links = new Map<string, number>();
  const ways: string[] = [];
  for (const line of lines) {
    const link = /^[0-9]+: ([^ @:]+).*? mtu ([0-9]+)/.exec(line);
    if (link) links.set(link[1]!, Number(link[2]));
    else ways.push(line);
  }
  const isDefault = (way: string) => way.startsWith("default ");
  const mtus = ways.filter((way) => !isDefault(way)).flatMap((way) => routeMtu(way, links));
  return mtus.length > 0 ? mtus : routeMtu(ways.filter(isDefault).join("\n"), links);
}

function routeMtu(route: string, links: ReadonlyMap<string, number>): number[] {
  const own = /\bmtu ([0-9]+)\b/.exec(route)?.[1];
  const mtu = own ? Number(own) : links.get(/\bdev ([^ ]+)/.exec(route)?.[1] ?? "");
  return mtu === undefined ? [] : [mtu];
}

async function tables(family: "-4" | "-6"): Promise<number[]> {
  const text = await readProgram(["ip", family, "route", "show", "table", "all"]);
  return [...text.matchAll(/\btable ([0-9]+)\b/g)].map(([, number]) => Number(number));
}

async function firewallRemoval(name: string): Promise<Step[]> {
  const steps: Step[] = [];
  if (await has("nft")) {
    const text = await readProgram(["nft", "list", "tables"]);
    for (
      const [, family] of text.matchAll(new RegExp(`^table (\\S+) wg-quick-${RegExp.escape(name)}$`, "gm"))
    ) {
      steps.push({
        kind: "command",
        command: ["nft", "delete", "table", family!, `wg-quick-${name}`],
        optional: true,
      });
    }
  }
  for (const program of ["iptables", "ip6tables"]) {
    if (!await has(program)) continue;
    const saved = await readProgram([`${program}-save`]);
    const input = saved.split("\n").flatMap((line) => {
      if (line.startsWith("*") || line === "COMMIT") return [line];
      if (!line.startsWith("-A") || !line.includes(`"wg-quick(8) rule for ${name}"`)) return [];
      return [`-D${line.slice(2)}`];
    });
    if (!input.some((line) => line.startsWith("-D"))) continue;
    steps.push({
      kind: "command",
      command: [`${program}-restore`, "-n"],
      input: `${input.join("\n")}\n`,
      optional: true,
    });
  }
  return steps;
}

async function dnsKeeper(): Promise<DnsKeeper> {
  const file = await Deno.realPath(RESOLV_CONF).catch(() => "");
  if (file.startsWith("/run/systemd/resolve/") && await has("resolvectl")) return { by: "resolved" };
  if (await has("resolvconf")) return { by: "resolvconf", prefix: await resolvconfPrefix() };
  return { by: "file", before: await readResolvConf() };
}

async function resolvconfPrefix(): Promise<string> {
  // On some systems, openresolv's resolvconf is a link to resolvectl, which does not support an interface order.
  const path = await find("resolvconf");
  if (path === undefined || (await Deno.lstat(path)).isSymlink) return "";
  const order = await readText(INTERFACE_ORDER);
  for (const line of order.split("\n")) {
    const match = /^([A-Za-z0-9-]+)\*$/.exec(line);
    if (match) return `${match[1]}.`;
  }
  return "";
}

/** Whether a program is in PATH. */
export async function has(program: string): Promise<boolean> {
  return await find(program) !== undefined;
}

async function find(program: string): Promise<string | undefined> {
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    const path = `${folder || "."}/${program}`;
    const stat = await Deno.stat(path).catch(() => undefined);
    if (stat?.isFile && ((stat.mode ?? 0) & 0o111) !== 0) return path;
  }
  return undefined;
}

async function readText(path: string): Promise<string> {
  return await Deno.readTextFile(path).catch(() => "");
}
