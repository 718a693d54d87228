import { equal } from "node:assert/strict";
import { closedChain, droppingRule, parseRuleset } from "../../../core/doctor/firewall.ts";

const SERVER = { own: 51820, other: 40000 };
const CLIENT = { own: 40000, other: 51820 };

/** A chain as `nft list ruleset` prints it. */
function chain(hook: string, rules: string[], { policy = "accept", name = "c" } = {}): string {
  const lines = hook === ""
    ? rules
    : [`type filter hook ${hook} priority filter; policy ${policy};`, ...rules];
  return `table inet f {\n\tchain ${name} {\n${lines.map((line) => `\t\t${line}\n`).join("")}\t}\n}\n`;
}

for (
  const [rule, ports, hook] of [
    ["udp dport 51820 drop", SERVER, "input"],
    ["udp dport 51820 drop", CLIENT, "output"],
    ["udp sport 51820 drop", SERVER, "output"],
    ["udp dport 51820 counter packets 3 bytes 528 reject with icmpx port-unreachable", SERVER, "input"],
    ["udp dport { 53, 51820 } drop", SERVER, "input"],
    ["udp dport { 53, 51000-52000 } drop", SERVER, "input"],
    ["udp dport 50000-60000 drop", SERVER, "prerouting"],
    ["ip saddr 192.0.2.2 udp dport 51820 drop", SERVER, "input"],
    ["udp dport 51820 drop", SERVER, ""],
    ["udp sport 51820 drop", SERVER, ""],
    ["meta l4proto udp drop", SERVER, "input"],
    ["ip protocol udp counter packets 1 bytes 176 drop", CLIENT, "output"],
    ["udp dport != 53 drop", CLIENT, "output"],
  ] as const
) {
  Deno.test(`droppingRule() finds "${rule}" on hook ${hook || "any"}`, () => {
    equal(droppingRule(parseRuleset(chain(hook, ["ct state invalid drop", rule])), ports), rule);
  });
}

for (
  const [what, rules, ports, hook] of [
    ["another port", ["udp dport 51821 drop"], SERVER, "input"],
    ["a port whose digits begin with ours", ["udp dport 518200 drop"], SERVER, "input"],
    ["a range without it", ["udp dport { 53, 1-51819 } drop"], SERVER, "input"],
    ["all ports but ours", ["udp dport != 51820 drop"], SERVER, "input"],
    ["TCP", ["tcp dport 51820 drop"], SERVER, "input"],
    ["the other direction", ["udp dport 51820 drop"], CLIENT, "input"],
    ["packets of others that are forwarded", ["udp dport 51820 drop"], SERVER, "forward"],
    ["what was accepted before", ["udp dport 51820 accept", "meta l4proto udp drop"], CLIENT, "output"],
    [
      "all of UDP, some of ours accepted",
      [
        'iifname "eth0" udp dport 51820 accept',
        "meta l4proto udp drop",
      ],
      SERVER,
      "input",
    ],
    ["some of it, all accepted before", ["accept", "udp dport 51820 drop"], SERVER, "input"],
    ["a set that is not in the rule", ["udp dport @ports drop"], SERVER, "input"],
  ] as const
) {
  Deno.test(`droppingRule() ignores a rule that drops ${what}`, () => {
    equal(droppingRule(parseRuleset(chain(hook, [...rules])), ports), undefined);
  });
}

Deno.test("droppingRule() reads every chain: a packet accepted in one may be dropped in the next", () => {
  const ruleset = chain("input", ["udp dport 51820 accept"]) +
    chain("input", ["udp dport 51820 drop"], { name: "d" });
  equal(droppingRule(parseRuleset(ruleset), SERVER), "udp dport 51820 drop");
});

Deno.test("droppingRule() finds a rule that drops packets of listed senders", () => {
  const rules = ["ip saddr 192.0.2.9 udp dport 51820 accept", "udp dport 51820 drop"];
  equal(droppingRule(parseRuleset(chain("input", rules)), SERVER), "udp dport 51820 drop");
});

const SSH = ["ct state established,related accept", 'iifname "lo" accept', "tcp dport 22 accept"];

Deno.test("closedChain() names the chain whose policy is drop, if no rule accepts our port", () => {
  equal(closedChain(parseRuleset(chain("input", SSH, { policy: "drop" })), 51820), "inet f c");
});

Deno.test("closedChain() treats a last rule that drops everything like a policy", () => {
  for (const last of ["drop", "counter packets 3 bytes 176 drop", "reject with icmpx admin-prohibited"]) {
    equal(closedChain(parseRuleset(chain("input", [...SSH, last])), 51820), "inet f c", last);
  }
});

for (
  const [what, ruleset] of [
    ["nothing", ""],
    ["a policy that accepts", chain("input", SSH)],
    ["a policy for what is forwarded", chain("forward", SSH, { policy: "drop" })],
    ["a rule for our port", chain("input", [...SSH, "udp dport 51820 accept"], { policy: "drop" })],
    ["a rule for all of UDP", chain("input", [...SSH, "meta l4proto udp accept"], { policy: "drop" })],
    ["a rule for everything", chain("input", [...SSH, "accept"], { policy: "drop" })],
    ["a set that may have our port", chain("input", ["udp dport @open accept"], { policy: "drop" })],
    ["a map that may have our port", chain("input", ["udp dport vmap @verdicts"], { policy: "drop" })],
    [
      "a chain of its own for open ports",
      chain("input", [...SSH, "jump open"], { policy: "drop" }) +
      chain("", ["udp dport { 53, 51820 } accept"], { name: "open" }),
    ],
  ] as const
) {
  Deno.test(`closedChain() finds no problem with ${what}`, () => {
    equal(closedChain(parseRuleset(ruleset), 51820), undefined);
  });
}
