/**
 * The routes of an interface, and for a full tunnel the rules that lead to them.
 *
 * @module
 */

import { containsPrefix, formatPrefix, parsePrefix, type Prefix } from "../../config/prefix.ts";
import type { QuickOptions } from "../../config/quick_config.ts";
import type { WgConfig } from "../../config/wg_config.ts";
import { firewallRules } from "./firewall.ts";
import { command, reversible, type Step } from "./step.ts";
import type { UpFacts } from "./up.ts";

/** The first table that wg-quick tries, and its mark. */
const FIRST_TABLE = 51_820;

/** Plans the routes to all allowed IPs. */
export function routes(name: string, quick: QuickOptions, wg: WgConfig, facts: UpFacts): Step[] {
  if (quick.table === "off") return [];
  // Longest prefix first, so that a wider route does not make a narrower one look superfluous. Equal lengths are in the
  // order of `sort -r`.
  const prefixes = uniquePrefixes(wg).sort((a, b) =>
    b.length - a.length || (formatPrefix(a) < formatPrefix(b) ? 1 : -1)
  );
  const table = quick.table === undefined || quick.table === "auto" ? undefined : quick.table;
  const steps: Step[] = [];
  const covered = connected(quick);
  let defaultTable: number | undefined;
  for (const prefix of prefixes) {
    const text = formatPrefix(prefix);
    const family = prefix.family === 4 ? "-4" : "-6";
    if (table !== undefined) {
      steps.push(reversible("ip", family, "route", "add", text, "dev", name, "table", table));
    } else if (prefix.length === 0) {
      if (defaultTable === undefined) {
        defaultTable = wg.fwmark || freeTable(facts);
        if (!wg.fwmark) steps.push({ kind: "fwmark", mark: defaultTable });
      }
      steps.push(...defaultRoute(name, prefix, defaultTable, quick, facts));
    } else if (!covered.some((wider) => containsPrefix(wider, prefix))) {
      steps.push(reversible("ip", family, "route", "add", text, "dev", name));
      covered.push(prefix);
    }
  }
  return steps;
}

/** Everything goes into the tunnel except the tunnel's own datagrams, which carry the mark (wg-quick, add_default). */
function defaultRoute(
  name: string,
  prefix: Prefix,
  table: number,
  quick: QuickOptions,
  facts: UpFacts,
): Step[] {
  const family = prefix.family === 4 ? "-4" : "-6";
  const number = String(table);
  const notMarked = ["not", "fwmark", number, "table", number];
  const suppress = ["table", "main", "suppress_prefixlength", "0"];
  const rule = (words: string[]): Step => ({
    kind: "command",
    command: ["ip", family, "rule", "add", ...words],
    undo: { kind: "command", command: ["ip", family, "rule", "delete", ...words], optional: true },
  });
  const steps: Step[] = [
    rule(notMarked),
    rule(suppress),
    reversible("ip", family, "route", "add", formatPrefix(prefix), "dev", name, "table", number),
  ];
  if (prefix.family === 4 && !facts.srcValidMark) {
    steps.push(command("sysctl", "-q", "net.ipv4.conf.all.src_valid_mark=1"));
  }
  steps.push(firewallRules(name, prefix.family, table, quick, facts));
  return steps;
}

/** Whether a plan must choose a mark: all traffic goes into the tunnel, and the file sets no mark. */
export function needsMark({ table }: QuickOptions, wg: WgConfig): boolean {
  return (table === undefined || table === "auto") && !wg.fwmark &&
    uniquePrefixes(wg).some(({ length }) => length === 0);
}

/** The networks of all peers. */
export function uniquePrefixes({ peers }: WgConfig): Prefix[] {
  const prefixes = new Map<string, Prefix>();
  for (const { allowedIps } of peers) {
    for (const { remove, prefix } of allowedIps) {
      if (!remove) prefixes.set(formatPrefix(prefix), prefix);
    }
  }
  return [...prefixes.values()];
}

/** The networks that the kernel routes to an interface for its addresses. An IPv4 host address adds none. */
export function connected({ address }: QuickOptions): Prefix[] {
  return address.map((text) => parsePrefix(text)).filter((prefix) => prefix !== null)
    .filter(({ family, length }) => family === 6 || length < 32);
}

/** A table without routes. Its number is also the mark of packets that must not go into the tunnel. */
export function freeTable({ usedTables }: UpFacts): number {
  let table = FIRST_TABLE;
  while (usedTables.has(table)) table++;
  return table;
}
