/**
 * Plans `wg-quick up` as a list of steps. This module does not read the system; it gets facts.
 *
 * @module
 */

import { excludesIPv6, IPV6_MIN_MTU, isIPv6, usesIPv6 } from "../../config/pitfalls.ts";
import type { QuickOptions } from "../../config/quick_config.ts";
import type { WgConfig } from "../../config/wg_config.ts";
import { type DnsKeeper, setDns } from "./dns.ts";
import { routes } from "./routes.ts";
import { command, deletion, familyFlag, hook, reversible, type Step } from "./step.ts";

/** What the plan of `up` needs to know about the system. */
export interface UpFacts {
  /** MTU of the route to each endpoint, or of the default route if there is no endpoint; empty if there is no route. */
  readonly routeMtus: readonly number[];
  /** Routing tables that have routes. */
  readonly usedTables: ReadonlySet<number>;
  /** Whether net.ipv4.conf.all.src_valid_mark is on. */
  readonly srcValidMark: boolean;
  /** Which of nft and iptables the machine has. */
  readonly firewall: "nft" | "iptables" | "none";
  dns: DnsKeeper;
}

/** Outer headers over IPv6 and the padding's slack (wg-quick, set_mtu_up). */
const TUNNEL_OVERHEAD = 80;
const FALLBACK_MTU = 1_500;

/** Plans `up`: the steps of wg-quick's `cmd_up`, in its order. */
export function planUp(name: string, quick: QuickOptions, wg: WgConfig, facts: UpFacts): Step[] {
  return [...planBegin(name, quick), ...planRest(name, quick, wg, facts)];
}

/** The first steps of `up`, which depend only on the file. */
export function planBegin(name: string, { preUp }: Pick<QuickOptions, "preUp">): Step[] {
  return [
    { kind: "create", undo: deletion(name) },
    ...preUp.map((script) => hook(name, script)),
  ];
}

/** The steps of `up` after `planBegin`. */
export function planRest(name: string, quick: QuickOptions, wg: WgConfig, facts: UpFacts): Step[] {
  const steps: Step[] = [{ kind: "configure" }];
  for (const address of quick.address) {
    // The kernel would remove it again.
    if (isIPv6(address) && excludesIPv6(quick)) continue;
    steps.push(reversible("ip", familyFlag(address), "address", "add", address, "dev", name));
  }
  const mtu = quick.mtu ?? (usesIPv6(quick, wg) ? Math.max(IPV6_MIN_MTU, routeMtu(facts)) : routeMtu(facts));
  steps.push(command("ip", "link", "set", "mtu", String(mtu), "up", "dev", name));
  if (quick.dns.length > 0) steps.push(...setDns(name, quick, wg, facts.dns));
  steps.push(...routes(name, quick, wg, facts));
  for (const script of quick.postUp) steps.push(hook(name, script));
  return steps;
}

/** The largest packet in the tunnel that reaches the endpoints without being fragmented. */
export function routeMtu({ routeMtus }: Pick<UpFacts, "routeMtus">): number {
  return Math.min(...(routeMtus.length > 0 ? routeMtus : [FALLBACK_MTU])) - TUNNEL_OVERHEAD;
}
