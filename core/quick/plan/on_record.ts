/**
 * Reads the facts of an earlier plan from its steps, so that an unchanged file leads to the same steps even if the
 * system has changed.
 *
 * @module
 */

import type { QuickOptions } from "../../config/quick_config.ts";
import type { WgConfig } from "../../config/wg_config.ts";
import { type DnsKeeper, setDns } from "./dns.ts";
import { ipWords, type Step, stepText } from "./step.ts";
import type { UpFacts } from "./up.ts";

/** The mark that a plan has chosen; undefined if it needed none, or the file sets one. */
export function markOf(steps: readonly Step[]): number | undefined {
  return steps.find((step) => step.kind === "fwmark")?.mark;
}

/** The MTU that a plan sets. */
export function mtuOf(steps: readonly Step[]): number | undefined {
  for (const step of steps) {
    const [, object, , option, mtu] = ipWords(step);
    if (object === "link" && option === "mtu") return Number(mtu);
  }
  return undefined;
}

/**
 * The facts for a plan of a running interface.
 *
 * @param now The system's present facts.
 * @param steps The recorded steps.
 */
export function factsOnRecord(
  name: string,
  quick: QuickOptions,
  wg: WgConfig,
  now: UpFacts,
  steps: readonly Step[],
): UpFacts {
  const programs = new Set(steps.map((step) => step.kind === "command" ? step.command[0] : undefined));
  const nft = steps.find((step) => step.kind === "command" && step.command[0] === "nft");
  const usesIptables = programs.has("iptables-restore") || programs.has("ip6tables-restore");
  return {
    ...now,
    srcValidMark: now.srcValidMark && !programs.has("sysctl"),
    firewall: nft ? "warning" in nft ? "none" : "nft" : usesIptables ? "iptables" : now.firewall,
    dns: keeper(name, quick, wg, now.dns, steps),
  };
}

/**
 * The program that manages the DNS servers: the same as before, unless the servers change and another program manages
 * them.
 */
function keeper(
  name: string,
  quick: QuickOptions,
  wg: WgConfig,
  now: DnsKeeper,
  steps: readonly Step[],
): DnsKeeper {
  const before = keeperOf(name, steps);
  if (!before) return now;
  const done = new Set(steps.map(stepText));
  const same = setDns(name, quick, wg, before).every((step) => done.has(stepText(step)));
  // The present /etc/resolv.conf was written by wgd.
  return same || now.by === "file" && before.by === "file" ? before : now;
}

function keeperOf(name: string, steps: readonly Step[]): DnsKeeper | undefined {
  for (const step of steps) {
    if (step.kind === "resolv-conf" && step.undo?.kind === "resolv-conf") {
      return { by: "file", before: step.undo.content };
    }
    if (step.kind !== "command") continue;
    const [program, , label = ""] = step.command;
    if (program === "resolvectl") return { by: "resolved" };
    if (program === "resolvconf") return { by: "resolvconf", prefix: label.slice(0, -name.length) };
  }
  return undefined;
}
