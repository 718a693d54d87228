/**
 * Plans `down`.
 *
 * @module
 */

import type { QuickOptions } from "../../config/quick_config.ts";
import { command, distinct, hook, type Step, stepText } from "./step.ts";

/** What the plan of `down` needs to know about the system. */
export interface DownFacts {
  /** The interface's mark, or 0. */
  readonly fwmark: number;
  /** Whether the interface's routes include a default route, by family. */
  readonly hasDefaultRoute: boolean;
  /** Rules `wg-quick` made for that mark, as arguments of `ip rule delete`, with their family. */
  readonly rules: readonly { readonly family: "-4" | "-6"; readonly words: readonly string[] }[];
  /** nft tables, or iptables-restore input by program, that `up` made. */
  readonly firewall: readonly Step[];
  readonly resolvconfPrefix: string;
}

/**
 * Plans `down` of an interface whose `up` is recorded. Exactly the recorded steps are undone, regardless of the file.
 *
 * @param done The steps of `up`, in order.
 * @param complete Whether `up` finished. If it did not, no hook is called, as when `up` fails.
 * @param end The step that ends the interface; undefined if it has ended.
 */
export function planUndo(
  name: string,
  done: readonly Step[],
  { preDown, postDown, saveConfig }: Pick<QuickOptions, "preDown" | "postDown" | "saveConfig">,
  { complete, end }: { complete: boolean; end: Step | undefined },
): Step[] {
  const steps: Step[] = [];
  if (complete && end) {
    for (const script of preDown) steps.push(hook(name, script));
    if (saveConfig) steps.push({ kind: "save" });
  }
  const undo = done.toReversed().flatMap((step) =>
    (step.kind === "create" ? end : "undo" in step ? step.undo : undefined) ?? []
  );
  // After a killed reload, steps are recorded twice. A rule that is deleted twice may belong to another tunnel.
  steps.push(...distinct(undo, stepText));
  if (complete) { for (const script of postDown) steps.push(hook(name, script)); }
  return steps;
}

/**
 * Plans `down`: the steps of wg-quick's `cmd_down`, in its order.
 *
 * @param end The step that ends the interface.
 */
export function planDown(name: string, quick: QuickOptions, facts: DownFacts, end: Step): Step[] {
  const steps: Step[] = quick.preDown.map((script) => hook(name, script));
  if (quick.saveConfig) steps.push({ kind: "save" });
  const automatic = quick.table === undefined || quick.table === "auto";
  if (automatic && facts.fwmark !== 0 && facts.hasDefaultRoute) {
    for (const { family, words } of facts.rules) {
      steps.push(command("ip", family, "rule", "delete", ...words));
    }
  }
  steps.push(end);
  if (quick.dns.length > 0) {
    steps.push({
      kind: "command",
      command: ["resolvconf", "-d", `${facts.resolvconfPrefix}${name}`, "-f"],
      optional: true,
    });
  }
  steps.push(...facts.firewall);
  for (const script of quick.postDown) steps.push(hook(name, script));
  return steps;
}
