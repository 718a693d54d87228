/**
 * What to do about a step that failed: the program has said why, in its own words and not always in the user's.
 *
 * @module
 */

import type { Step } from "./plan/step.ts";

/** Debian's package of each program that steps call. */
const PACKAGES: Readonly<Record<string, string>> = {
  "bash": "bash",
  "ip": "iproute2",
  "ip6tables-restore": "iptables",
  "iptables-restore": "iptables",
  "nft": "nftables",
  "resolvconf": "openresolv",
  "resolvectl": "systemd-resolved",
  "sysctl": "procps",
};

/** Says how to get a program. */
export function adviseMissing(program: string): string {
  const name = PACKAGES[program];
  return name === undefined ? `install it, or see PATH` : `install it: the package is ${name}`;
}

/**
 * Says what to look at.
 *
 * @param step What failed.
 * @param code Its exit code.
 */
export function adviseStep(step: Step, code: number): string {
  if (step.kind === "hook") {
    return `the hook "${step.script}" of the file ended with exit code ${code}; 0 would be success`;
  }
  if (step.kind === "command") {
    const [program, family = "", object, verb, network] = step.command;
    if (program === "ip" && object === "route" && verb === "add") {
      return `is there another way to ${network} already? See: ip ${family} route show ${network}; ` +
        `then take ${network} out of AllowedIPs, or set the routes yourself with Table = off`;
    }
    if (program === "ip" && family === "-6") {
      return "is IPv6 switched off? See: sysctl net.ipv6.conf.default.disable_ipv6; " +
        "then take what is IPv6 out of the file";
    }
    if (program === "ip" && object === "address") {
      return `an address stands in the file once, and belongs to no other interface: ip address show`;
    }
  }
  return `its exit code was ${code}; see what it says above`;
}
