/**
 * The firewall of a full tunnel.
 *
 * @module
 */

import type { QuickOptions } from "../../config/quick_config.ts";
import type { Step } from "./step.ts";
import type { UpFacts } from "./up.ts";

const MISSING =
  "without its rules, others on the local network can send packets to this machine's address in the " +
  "tunnel (CVE-2019-14899); install nftables or iptables";

/**
 * Splits the input of `iptables-restore` into one step for each rule. As a whole, it changes nothing in a table if one
 * rule fails, such as the deletion of a rule that another program has deleted.
 *
 * @returns Undefined for any other step.
 */
export function ruleByRule(step: Step): Step[] {
  if (step.kind !== "command" || !/^ip6?tables-restore$/.test(step.command[0]!)) return [];
  let table = "";
  return (step.input ?? "").split("\n").flatMap((line) => {
    if (line.startsWith("*")) table = line;
    return line.startsWith("-") ? [{ ...step, input: `${table}\n${line}\nCOMMIT\n` }] : [];
  });
}

/** Keeps other hosts on the link from reaching our inner address, and gives replies the mark of their connection. */
export function firewallRules(
  name: string,
  family: 4 | 6,
  table: number,
  quick: QuickOptions,
  { firewall }: UpFacts,
): Step {
  const ours = quick.address.filter((address) => (family === 6) === address.includes(":"))
    .map((address) => address.replace(/\/.*/, ""));
  if (firewall !== "iptables") {
    const [kind, chain] = [family === 4 ? "ip" : "ip6", `wg-quick-${name}`];
    const lines = [
      `add table ${kind} ${chain}`,
      `add chain ${kind} ${chain} preraw { type filter hook prerouting priority -300; }`,
      `add chain ${kind} ${chain} premangle { type filter hook prerouting priority -150; }`,
      `add chain ${kind} ${chain} postmangle { type filter hook postrouting priority -150; }`,
      ...ours.map((address) =>
        `add rule ${kind} ${chain} preraw iifname != "${name}" ${kind} daddr ${address} fib saddr type != local drop`
      ),
      `add rule ${kind} ${chain} postmangle meta l4proto udp mark ${table} ct mark set mark`,
      `add rule ${kind} ${chain} premangle meta l4proto udp meta mark set ct mark`,
    ];
    return {
      kind: "command",
      command: ["nft", "-f", "/dev/stdin"],
      echo: "nft -f /dev/fd/63",
      input: lines.map((line) => `${line}\n`).join(""),
      ...(firewall === "none" && { warning: MISSING }),
      undo: { kind: "command", command: ["nft", "delete", "table", kind, chain], optional: true },
    };
  }
  const program = family === 4 ? "iptables-restore" : "ip6tables-restore";
  const rules = (action: "-I" | "-D") => {
    const comment = `-m comment --comment "wg-quick(8) rule for ${name}"`;
    return [
      "*raw",
      ...ours.map((address) =>
        `${action} PREROUTING ! -i ${name} -d ${address} -m addrtype ! --src-type LOCAL -j DROP ${comment}`
      ),
      "COMMIT",
      "*mangle",
      `${action} POSTROUTING -m mark --mark ${table} -p udp -j CONNMARK --save-mark ${comment}`,
      `${action} PREROUTING -p udp -j CONNMARK --restore-mark ${comment}`,
      "COMMIT",
      "",
    ].join("\n");
  };
  return {
    kind: "command",
    command: [program, "-n"],
    input: rules("-I"),
    undo: { kind: "command", command: [program, "-n"], input: rules("-D"), optional: true },
  };
}
