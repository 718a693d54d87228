/**
 * Checks whether the firewall rules of a full tunnel exist.
 *
 * @module
 */

import type { SystemDifference } from "./differences.ts";
import { type Step, stepText } from "./step.ts";

/** The firewall rules of an interface. */
export interface FirewallState {
  /** The output of `nft list table`, by family and name such as `ip wg-quick-wg0`; null if the table does not exist. */
  readonly nft: ReadonlyMap<string, string | null>;
  /** The output of `iptables-save` and `ip6tables-save`, by `iptables` and `ip6tables`. */
  readonly iptables: ReadonlyMap<string, string>;
}

/** The table that a step for nft makes. */
export function nftTable(step: Step): string | undefined {
  if (step.kind !== "command" || step.command[0] !== "nft") return undefined;
  return /^add table (\S+ \S+)$/m.exec(step.input ?? "")?.[1];
}

/** Compares a firewall with the step that made it. */
export function firewallDifference(step: Step, state: FirewallState): SystemDifference | undefined {
  const table = nftTable(step);
  if (table !== undefined) return nftDifference(step, table, state);
  return step.kind === "command" && /^ip6?tables-restore$/.test(step.command[0]!)
    ? iptablesDifference(step, state)
    : undefined;
}

/** Rules are only counted, because nft prints them in another form. */
function nftDifference(step: Step, table: string, { nft }: FirewallState): SystemDifference | undefined {
  if (step.kind !== "command" || !nft.has(table)) return undefined;
  const text = nft.get(table);
  const input = step.input ?? "";
  const chains = [...input.matchAll(/^add chain \S+ \S+ (\S+)/gm)].map(([, chain]) => chain!);
  const isWhole = text && chains.every((chain) => {
    const [, body] = new RegExp(`^\\tchain ${chain} \\{\\n([^]*?)^\\t\\}`, "m").exec(text) ?? [];
    const wanted = input.match(new RegExp(`^add rule \\S+ \\S+ ${chain} `, "gm"))?.length ?? 0;
    const has = body?.split("\n").filter((line) => line.trim() !== "" && !/^\s*type /.test(line)).length;
    return has !== undefined && has >= wanted;
  });
  if (isWhole) return undefined;
  // The same transaction deletes the rest of the table. "add" makes sure that there is a table to delete.
  const replacement = `add table ${table}\ndelete table ${table}\n${input}`;
  return {
    kind: "firewall",
    message: `the firewall's table ${table} is ${text ? "not complete" : "gone"}`,
    exposes: false,
    key: stepText(step),
    undo: [],
    redo: [text ? { ...step, input: replacement } : step],
  };
}

/** The rules of an interface have a comment with its name. */
function iptablesDifference(step: Step, { iptables }: FirewallState): SystemDifference | undefined {
  if (step.kind !== "command") return undefined;
  const program = step.command[0]!.replace("-restore", "");
  const saved = iptables.get(program);
  const comment = /--comment ("[^"]*")/.exec(step.input ?? "")?.[1];
  if (saved === undefined || comment === undefined) return undefined;
  const wanted = rulesByTable(step.input!, "-I", comment);
  const has = rulesByTable(saved, "-A", comment);
  const isWhole = [...wanted].every(([table, rules]) => (has.get(table)?.length ?? 0) >= rules.length);
  if (isWhole) return undefined;
  const input = [...wanted].map(([table, rules]) => {
    const left = (has.get(table) ?? []).map((rule) => rule.replace(/^-A/, "-D"));
    return [`*${table}`, ...left, ...rules, "COMMIT", ""].join("\n");
  }).join("");
  return {
    kind: "firewall",
    message: `rules of ${program} for the interface are gone`,
    exposes: false,
    key: stepText(step),
    undo: [],
    redo: [{ ...step, input }],
  };
}

/** Rules with a comment, by their tables. */
function rulesByTable(text: string, action: "-I" | "-A", comment: string): Map<string, string[]> {
  const tables = new Map<string, string[]>();
  let table: string[] = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("*")) tables.set(line.slice(1), table = []);
    else if (line.startsWith(action) && line.includes(comment)) table.push(line);
  }
  return tables;
}
