/**
 * Finds what other programs removed or changed after the steps of `up`, and the steps that restore it.
 *
 * @module
 */

import type { Link, Route, Rule } from "../../client/netlink_network.ts";
import { formatAddress, parseAddress } from "../../config/address.ts";
import { formatPrefix, parsePrefix } from "../../config/prefix.ts";
import { dnsDifference, type DnsState } from "./dns_state.ts";
import { firewallDifference, type FirewallState } from "./firewall_state.ts";
import { command, ipWords, reversal, type Step, stepText } from "./step.ts";

/** The state of everything that steps can make. */
export interface SystemState extends FirewallState, DnsState {
  /** Absent if there is no such interface. */
  readonly link?: Link;
  /** The interface's addresses with their lengths. */
  readonly addresses: readonly string[];
  /** Routes through the interface. */
  readonly routes: readonly Route[];
  /** The machine's rules that refer to routing tables. */
  readonly rules: readonly Rule[];
  /** Numbers of the routing tables that have names. */
  readonly tables: ReadonlyMap<string, number>;
  /** Values of kernel parameters that steps set. */
  readonly sysctls: ReadonlyMap<string, string>;
}

/** Something that was removed or changed. */
export interface Difference {
  /** What it refers to. */
  readonly kind: "link" | "address" | "route" | "rule" | "firewall" | "dns" | "sysctl" | "wireguard";
  /** A text such as `the route 10.0.0.0/24 is gone`. */
  readonly message: string;
  /** Whether packets for the tunnel leave the machine in the clear. */
  readonly exposes: boolean;
}

/** A difference, with the steps that restore it. */
export interface SystemDifference extends Difference {
  /** Identifies it among those of the interface. The key does not depend on what the system has instead. */
  readonly key: string;
  /** Steps that remove the present state. They come first. */
  readonly undo: readonly Step[];
  /** Steps that restore it. */
  readonly redo: readonly Step[];
}

/** The default routing table of a route (linux/rtnetlink.h, RT_TABLE_MAIN). */
const MAIN = 254;

/**
 * Finds all differences, in the order of the steps.
 *
 * @param steps The recorded steps that should be in effect.
 */
export function findDifferences(steps: readonly Step[], state: SystemState): SystemDifference[] {
  const routes = new Set(state.routes.map(({ table, network }) => `${table} ${network}`));
  return steps.flatMap((step): SystemDifference | SystemDifference[] => {
    if (step.kind === "resolv-conf") return dnsDifference(step, state) ?? [];
    if (step.kind !== "command") return [];
    const [program] = step.command;
    switch (program) {
      case "ip":
        return ipDifferences(step, steps, state, routes);
      case "sysctl":
        return sysctlDifference(step, state) ?? [];
      case "resolvectl":
      case "resolvconf":
        return dnsDifference(step, state) ?? [];
      default:
        return firewallDifference(step, state) ?? [];
    }
  });
}

function ipDifferences(
  step: Step,
  steps: readonly Step[],
  state: SystemState,
  routes: ReadonlySet<string>,
): SystemDifference[] {
  const [, family, object] = ipWords(step);
  if (family === "link") return linkDifferences(step, state);
  switch (object) {
    case "address":
      return addressDifferences(step, state, routes);
    case "route":
      return routeDifference(step, state, routes);
    case "rule":
      return ruleDifference(step, steps, state);
    default:
      return [];
  }
}

/** A difference that ends when the step is repeated. */
function lacking(
  kind: Difference["kind"],
  message: string,
  step: Step,
  { exposes = false, undo = [] }: { exposes?: boolean; undo?: readonly Step[] } = {},
): SystemDifference {
  return { kind, message, exposes, key: stepText(step), undo, redo: [step] };
}

function linkDifferences(step: Step, { link }: SystemState): SystemDifference[] {
  const [mtu, name] = [ipWords(step)[4]!, ipWords(step).at(-1)!];
  const found: SystemDifference[] = [];
  if (!link) return found;
  const set = (...words: string[]) => command("ip", "link", "set", ...words, "dev", name);
  if (!link.up) found.push(lacking("link", "the interface is down", set("up")));
  if (link.mtu !== Number(mtu)) {
    found.push(lacking("link", `its MTU is ${link.mtu}, not ${mtu}`, set("mtu", mtu)));
  }
  return found;
}

/** An address, and the route that the kernel adds for it. */
function addressDifferences(
  step: Step,
  { link, addresses }: SystemState,
  routes: ReadonlySet<string>,
): SystemDifference[] {
  const [, family, , , text, , name] = ipWords(step);
  const address = wholeAddress(text!);
  if (!addresses.includes(address)) return [lacking("address", `the address ${address} is gone`, step)];
  const prefix = parsePrefix(text!);
  // A host address has no network, and a link that is down has no routes.
  if (!link?.up || !prefix || prefix.length === prefix.address.length * 8) return [];
  const network = formatPrefix(prefix);
  if ([...routes].some((route) => route.endsWith(` ${network}`))) return [];
  const own = family === "-4" ? ["scope", "link", "src", address.replace(/\/.*/, "")] : ["metric", "256"];
  const words = ["ip", family!, "route", "replace", network, "dev", name!, "proto", "kernel", ...own];
  return [lacking("route", `the route ${network} is gone`, command(...words), { exposes: true })];
}

/** The address in the form of the kernel. Without a length it is a host address. */
function wholeAddress(text: string): string {
  const [host = "", length] = text.split("/");
  const address = parseAddress(host);
  return address ? `${formatAddress(address)}/${length ?? address.length * 8}` : text;
}

function routeDifference(
  step: Step,
  { tables }: SystemState,
  routes: ReadonlySet<string>,
): SystemDifference[] {
  const words = ipWords(step);
  const network = words[4]!;
  const at = words.indexOf("table");
  const name = at < 0 ? undefined : words[at + 1]!;
  const table = name === undefined ? MAIN : tables.get(name) ?? Number(name);
  if (Number.isNaN(table) || routes.has(`${table} ${network}`)) return [];
  const where = name === undefined ? "" : ` of table ${name}`;
  return [lacking("route", `the route ${network}${where} is gone`, step, { exposes: true })];
}

/**
 * The two rules of a full tunnel. The one that prefers specific routes of the main table must come first. The kernel puts a
 * new rule before all others. So if the rule into the tunnel is made again, the other one is made again after it.
 */
function ruleDifference(step: Step, steps: readonly Step[], state: SystemState): SystemDifference[] {
  const family = ipWords(step)[1];
  const rules = state.rules.filter((rule) => rule.family === (family === "-4" ? 4 : 6));
  const name = family === "-4" ? "IPv4" : "IPv6";
  const others = steps.filter((other) => ipWords(other)[1] === family && ipWords(other)[2] === "rule");
  const mark = Number(ipWords(others.find(isMarkRule) ?? step)[6]);
  const marked = rules.find((rule) => rule.inverted && rule.mark === mark && rule.table === mark);
  if (isMarkRule(step)) {
    if (marked) return [];
    return [{
      kind: "rule",
      message: `the ${name} rule that leads into the tunnel is gone (not fwmark ${mark} table ${mark})`,
      exposes: true,
      key: stepText(step),
      undo: others.filter((other) => !isMarkRule(other)).flatMap((other) => reversal(other) ?? []),
      redo: others,
    }];
  }
  const suppressing = rules.filter(({ table, suppressedLength }) => table === MAIN && suppressedLength === 0);
  // If the rule into the tunnel is also missing, its difference restores both.
  const redo = marked ? [step] : [];
  if (suppressing.length === 0) {
    const message =
      `the ${name} rule that lets the main table's own routes come first is gone (table main suppress_prefixlength 0)`;
    return [{ ...lacking("rule", message, step), redo }];
  }
  if (!marked || suppressing.some(({ priority }) => priority < marked.priority)) return [];
  const message =
    `the ${name} rule that lets the main table's own routes come first has the wrong priority (table main suppress_prefixlength 0)`;
  return [{ ...lacking("rule", message, step, { undo: [reversal(step)!] }), redo }];
}

function isMarkRule(step: Step): boolean {
  return ipWords(step)[4] === "not";
}

function sysctlDifference(step: Step, { sysctls }: SystemState): SystemDifference | undefined {
  const [name, value] = step.kind === "command" ? step.command.at(-1)!.split("=") : [];
  const now = sysctls.get(name!);
  if (now === undefined || now === value) return undefined;
  return lacking("sysctl", `${name} is ${now}, not ${value}`, step);
}
