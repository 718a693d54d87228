/**
 * The steps that plans are made of.
 *
 * @module
 */

import { isIPv6 } from "../../config/pitfalls.ts";

/** One step. Its `echo` is printed after `[#]` before it is done. */
export type Step =
  /** A program of the system. */
  | {
    readonly kind: "command";
    readonly command: readonly string[];
    /** Standard input. */
    readonly input?: string;
    /** Printed in place of the command's words. */
    readonly echo?: string;
    /** Whether a failure is ignored. */
    readonly optional?: boolean;
    /** The warning if it fails. The failure is then ignored, because the tunnel works without it. */
    readonly warning?: string;
    /** Undoes it when the interface ends; absent if the kernel does, as with an address of the interface. */
    readonly undo?: Step;
    /** Undoes it while the interface stays, if `undo` does not. */
    readonly revert?: Step;
  }
  /** A command of the user, for the shell. */
  | { readonly kind: "hook"; readonly script: string }
  /** Makes the interface. */
  | { readonly kind: "create"; readonly undo: Step }
  /** Ends the process of an interface that is in another network namespace, and with it the interface. */
  | { readonly kind: "end"; readonly pid: number; readonly socket?: string }
  /** Sets the keys and peers of the interface, and its fwmark if the plan has one. */
  | { readonly kind: "configure" }
  | { readonly kind: "fwmark"; readonly mark: number }
  /** Updates the file from the interface. */
  | { readonly kind: "save" }
  /** Replaces /etc/resolv.conf. */
  | {
    readonly kind: "resolv-conf";
    readonly content: ResolvConf;
    /** Does this only if the file still has the content that `up` wrote for this interface. */
    readonly owner?: string;
    readonly undo?: Step;
  };

/** The content of /etc/resolv.conf: a link, a file, or nothing. */
export type ResolvConf = { readonly link: string } | { readonly text: string } | null;

/** A step as text. Steps that do and undo the same have equal texts. */
export function stepText(step: Step): string {
  return JSON.stringify(step);
}

/** Keeps the first of several steps with the same key. */
export function distinct(steps: readonly Step[], key: (step: Step) => string): Step[] {
  const seen = new Set<string>();
  return steps.filter((step) => !seen.has(key(step)) && seen.add(key(step)));
}

/** The arguments of a call of `ip`; undefined for other steps. */
export function ipWords(step: Step): readonly (string | undefined)[] {
  return step.kind === "command" && step.command[0] === "ip" ? step.command : [];
}

/** The step that undoes a step while the interface stays. */
export function reversal(step: Step): Step | undefined {
  return "undo" in step && step.undo ? step.undo : step.kind === "command" ? step.revert : undefined;
}

/** Calls a program. */
export function command(...words: string[]): Step & { kind: "command" } {
  return { kind: "command", command: words };
}

/** An `ip … add` that the kernel undoes when the interface ends. */
export function reversible(...words: string[]): Step {
  const opposite = words.map((word) => word === "add" ? "delete" : word);
  return { ...command(...words), revert: { ...command(...opposite), optional: true } };
}

/** Ends an interface in our network namespace. */
export function deletion(name: string): Step {
  return command("ip", "link", "delete", "dev", name);
}

/** Calls a hook of the file. */
export function hook(name: string, script: string): Step {
  return { kind: "hook", script: script.replaceAll("%i", name) };
}

/** The option that sets the address family for `ip`. */
export function familyFlag(address: string): "-4" | "-6" {
  return isIPv6(address) ? "-6" : "-4";
}
