/**
 * `wgd quick`: wg-quick.
 *
 * @module
 */

import { nameOf } from "../../core/quick/interface_name.ts";
import { shortName, tool } from "../program.ts";
import { complain } from "../render/output.ts";
import { startWaiting } from "../self.ts";

/** What wg-quick has, and what it has not. */
const ACTIONS = /^(up|down|save|strip)$/;
const OUR_ACTIONS = /^(up|down|save|strip|reload|check|status)$/;

/** Brings interfaces up and down by their files. */
export async function quick(args: string[]): Promise<number> {
  if (args.length === 1 && /^(-h|--help|help)$/.test(args[0]!)) {
    complain(usage());
    return 0;
  }
  const original = tool() === "wg-quick";
  const flags = original ? [] : args.filter((word) => /^--(dry-run|json)$/.test(word));
  const [action = "", target, ...rest] = args.filter((word) => !flags.includes(word));
  const [dryRun, json] = [flags.includes("--dry-run"), flags.includes("--json")];
  const misused = !(original ? ACTIONS : OUR_ACTIONS).test(action) || rest.length > 0 ||
    target === undefined && action !== "status" ||
    dryRun && !/^(up|down|reload)$/.test(action) || json && action !== "status";
  if (misused) {
    complain(usage());
    return 1;
  }
  const name = target === undefined ? undefined : nameOf(target);
  // wg-quick's variable names another program that makes interfaces.
  const creator = Deno.env.get("WG_QUICK_USERSPACE_IMPLEMENTATION") || undefined;
  const ours = action === "up" && !dryRun && Deno.uid() === 0 && creator === undefined;
  // It loads while this process loads, reads the file and asks the system.
  const waiting = ours && name !== undefined && /[^.]/.test(name) ? startWaiting(name) : undefined;
  try {
    const { perform } = await import("./quick_actions.ts");
    return await perform({ action, target, dryRun, json, creator }, args, waiting);
  } finally {
    await waiting?.dismiss();
  }
}

function usage(): string {
  if (tool() === "wg-quick") {
    return `Usage: ${shortName()} [ up | down | save | strip ] [ CONFIG_FILE | INTERFACE ]\n\n${TARGETS}`;
  }
  return `Usage: ${shortName()} quick [ up | down | reload ] [ CONFIG_FILE | INTERFACE ] [ --dry-run ]
       ${shortName()} quick [ save | strip | check ] [ CONFIG_FILE | INTERFACE ]
       ${shortName()} quick status [ INTERFACE ] [ --json ]\n\n${TARGETS}`;
}

const TARGETS = `  CONFIG_FILE is a configuration file, whose filename is the interface name
  followed by \`.conf'. Otherwise, INTERFACE is an interface name, with
  configuration found at /etc/wireguard/INTERFACE.conf.`;
