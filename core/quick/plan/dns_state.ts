/**
 * Checks whether the DNS servers of an interface are in use.
 *
 * @module
 */

import type { SystemDifference } from "./differences.ts";
import { type ResolvConf, type Step, stepText } from "./step.ts";

/** The DNS state of the system. */
export interface DnsState {
  /** The content of /etc/resolv.conf; undefined if no step changes it. */
  readonly resolvConf?: ResolvConf | undefined;
  /**
   * The interface's servers in the program that manages them, by the first two words of a step; absent if they are
   * unknown.
   */
  readonly dns: ReadonlyMap<string, readonly string[]>;
}

/** The words of a step that are its key in `DnsState.dns`. */
export function dnsQuestion(step: Step): string | undefined {
  if (step.kind !== "command" || !/^resolv(ectl|conf)$/.test(step.command[0]!)) return undefined;
  return step.command.slice(0, 2).join(" ");
}

/** Compares DNS with a step that set it. */
export function dnsDifference(step: Step, { resolvConf, dns }: DnsState): SystemDifference | undefined {
  if (step.kind === "resolv-conf") return resolvConfDifference(step, resolvConf);
  const question = dnsQuestion(step);
  const has = question === undefined ? undefined : dns.get(question);
  if (step.kind !== "command" || has === undefined) return undefined;
  const wanted = step.input === undefined
    ? step.command.slice(3)
    : [...step.input.matchAll(/^nameserver (\S+)/gm)].map(([, server]) => server!);
  const missing = wanted.filter((word) => !has.includes(word));
  if (missing.length === 0) return undefined;
  const what = question === "resolvectl domain" ? "search domains" : "DNS servers";
  return {
    kind: "dns",
    message: `its ${what} are not in use: ${step.command[0]} lacks ${missing.join(", ")}`,
    exposes: false,
    key: stepText(step),
    undo: [],
    redo: [step],
  };
}

function resolvConfDifference(
  step: Step & { kind: "resolv-conf" },
  now: ResolvConf | undefined,
): SystemDifference | undefined {
  const { content } = step;
  if (now === undefined || content === null || !("text" in content)) return undefined;
  if (now !== null && "text" in now) {
    // Another interface of wgd has replaced the file since.
    if (
      now.text === content.text ||
      /^# Written by wgd for /.test(now.text) && !sameOwner(now.text, content.text)
    ) {
      return undefined;
    }
  }
  return {
    kind: "dns",
    message: `its DNS servers are not in use: /etc/resolv.conf is ${now === null ? "gone" : "another one"}`,
    exposes: false,
    key: stepText(step),
    undo: [],
    redo: [step],
  };
}

/** The first line names the interface. */
function sameOwner(one: string, other: string): boolean {
  return one.split("\n")[0] === other.split("\n")[0];
}
