import { deepEqual, equal, match, ok } from "node:assert/strict";
import { parseQuickConfig } from "../../../core/config/quick_config.ts";
import { parseWgConfig } from "../../../core/config/wg_config.ts";
import { planDown } from "../../../core/quick/plan/down.ts";
import { deletion, type Step } from "../../../core/quick/plan/step.ts";
import { planUp, type UpFacts } from "../../../core/quick/plan/up.ts";

const FACTS: UpFacts = {
  routeMtus: [],
  usedTables: new Set(),
  srcValidMark: false,
  firewall: "nft",
  dns: { by: "resolvconf", prefix: "" },
};
const KEY = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";

/** What `up` would print, step by step. */
function echoes(steps: readonly Step[]): string[] {
  return steps.map((step) => {
    switch (step.kind) {
      case "command":
        return step.echo ?? step.command.join(" ");
      case "hook":
        return step.script;
      case "fwmark":
        return `fwmark ${step.mark}`;
      default:
        return step.kind;
    }
  });
}

function up(text: string, facts: Partial<UpFacts> = {}): Step[] {
  const { quick, wg } = parseQuickConfig(text);
  return planUp("wg0", quick, parseWgConfig(wg), { ...FACTS, ...facts });
}

function peer(allowedIps: string): string {
  return `[Peer]\nPublicKey = ${KEY}\nAllowedIPs = ${allowedIps}\n`;
}

Deno.test("planUp() has wg-quick's order: interface, hooks, keys, addresses, link, DNS, routes, hooks", () => {
  const text = `[Interface]
Address = 10.0.0.2/24, fd00::2/64
DNS = 10.0.0.1, fd00::1, example.org
PreUp = echo %i before
PostUp = echo %i after # kept
PostUp = true
MTU = 1300
${peer("10.0.0.0/24, 10.2.0.0/16, fd02::/64")}`;
  deepEqual(echoes(up(text)), [
    "create",
    "echo wg0 before",
    "configure",
    "ip -4 address add 10.0.0.2/24 dev wg0",
    "ip -6 address add fd00::2/64 dev wg0",
    "ip link set mtu 1300 up dev wg0",
    "resolvconf -a wg0 -m 0 -x",
    "ip -6 route add fd02::/64 dev wg0",
    "ip -4 route add 10.2.0.0/16 dev wg0",
    "echo wg0 after # kept",
    "true",
  ]);
});

Deno.test("planUp() takes the smallest MTU on the way to the endpoints less 80, else 1500 less 80", () => {
  const link = (routeMtus: number[]) =>
    echoes(up("[Interface]\n", { routeMtus })).find((line) => line.includes("mtu"));
  equal(link([]), "ip link set mtu 1420 up dev wg0");
  equal(link([1500, 1400]), "ip link set mtu 1320 up dev wg0");
});

Deno.test("planUp() sets at least 1280 bytes for IPv6, and leaves IPv6 out if the file sets less", () => {
  const lines = (address: string, facts: Partial<UpFacts>, more = "") =>
    echoes(up(`[Interface]\nAddress = ${address}\n${more}${peer("10.0.0.0/24")}`, facts)).slice(2);
  const way = { routeMtus: [1300] };
  deepEqual(lines("10.0.0.2/24, fd00::2", way), [
    "ip -4 address add 10.0.0.2/24 dev wg0",
    "ip -6 address add fd00::2 dev wg0",
    "ip link set mtu 1280 up dev wg0",
  ]);
  equal(lines("10.0.0.2/24", way)[1], "ip link set mtu 1220 up dev wg0");
  deepEqual(lines("10.0.0.2/24, fd00::2", {}, "MTU = 1279\n"), [
    "ip -4 address add 10.0.0.2/24 dev wg0",
    "ip link set mtu 1279 up dev wg0",
  ]);
  equal(lines("10.0.0.2/24, fd00::2", {}, "MTU = 1280\n").length, 3);
});

Deno.test("planUp() without a program for the firewall tries nft, and reports what is missing", () => {
  const rules = up(`[Interface]\n${peer("0.0.0.0/0")}`, { firewall: "none" }).at(-1)!;
  equal(rules.kind === "command" && rules.command[0], "nft");
  match(rules.kind === "command" && rules.warning || "", /install nftables or iptables/);
});

Deno.test("planUp() adds no route that an address or a wider route covers, and the longest first", () => {
  const routes = (addresses: string, allowed: string) =>
    echoes(up(`[Interface]\nAddress = ${addresses}\n${peer(allowed)}`)).filter((line) =>
      line.includes("route add")
    );
  deepEqual(routes("10.0.0.1/24", "10.0.0.0/24, 10.0.0.7/32"), []);
  deepEqual(routes("10.0.0.1/32", "10.0.0.0/24, 10.0.0.7/32"), [
    "ip -4 route add 10.0.0.7/32 dev wg0",
    "ip -4 route add 10.0.0.0/24 dev wg0",
  ]);
  deepEqual(routes("fd00::1/128", "fd00::1/128"), [], "IPv6 routes even a host address to its interface");
  deepEqual(routes("10.0.0.1/32", "10.1.0.0/16, 10.1.0.0/16"), ["ip -4 route add 10.1.0.0/16 dev wg0"]);
});

Deno.test("planUp() Table: off adds no route, a number takes all of them, default routes included", () => {
  deepEqual(
    echoes(up(`[Interface]\nTable = off\n${peer("0.0.0.0/0")}`)).filter((line) => /route|rule/.test(line)),
    [],
  );
  deepEqual(
    echoes(up(`[Interface]\nTable = 99\n${peer("0.0.0.0/0, ::/0")}`)).filter((line) =>
      /route|rule/.test(line)
    ),
    ["ip -6 route add ::/0 dev wg0 table 99", "ip -4 route add 0.0.0.0/0 dev wg0 table 99"],
  );
});

Deno.test("planUp() a default route gets a table of its own, rules, a mark and the firewall (wg-quick, add_default)", () => {
  const steps = up(`[Interface]\nAddress = 10.0.0.2/32\n${peer("0.0.0.0/0")}`, {
    usedTables: new Set([51_820]),
  });
  deepEqual(echoes(steps).slice(4), [
    "fwmark 51821",
    "ip -4 rule add not fwmark 51821 table 51821",
    "ip -4 rule add table main suppress_prefixlength 0",
    "ip -4 route add 0.0.0.0/0 dev wg0 table 51821",
    "sysctl -q net.ipv4.conf.all.src_valid_mark=1",
    "nft -f /dev/fd/63",
  ]);
  const nft = steps.find((step) => step.kind === "command" && step.command[0] === "nft");
  ok(nft?.kind === "command");
  ok(
    nft.input?.includes(
      'add rule ip wg-quick-wg0 preraw iifname != "wg0" ip daddr 10.0.0.2 fib saddr type != local drop\n',
    ),
  );
  deepEqual(nft.undo?.kind === "command" && nft.undo.command, [
    "nft",
    "delete",
    "table",
    "ip",
    "wg-quick-wg0",
  ]);
});

Deno.test("planUp() uses the FwMark of the file as the table, and does not set what is already set", () => {
  const lines = echoes(
    up(`[Interface]\nFwMark = 0x10\n${peer("::/0")}`, { srcValidMark: true, firewall: "iptables" }),
  );
  deepEqual(lines.slice(3), [
    "ip -6 rule add not fwmark 16 table 16",
    "ip -6 rule add table main suppress_prefixlength 0",
    "ip -6 route add ::/0 dev wg0 table 16",
    "ip6tables-restore -n",
  ]);
});

Deno.test("planDown() runs hooks, and removes rules only for an automatic default route", () => {
  const { quick } = parseQuickConfig("[Interface]\nDNS = 10.0.0.1\nPreDown = a %i\nPostDown = b\n");
  const facts = {
    fwmark: 51_820,
    hasDefaultRoute: true,
    rules: [{ family: "-4", words: ["table", "51820"] }] as const,
    firewall: [],
    resolvconfPrefix: "tun.",
  };
  const rest = ["ip link delete dev wg0", "resolvconf -d tun.wg0 -f", "b"];
  deepEqual(echoes(planDown("wg0", quick, facts, deletion("wg0"))), [
    "a wg0",
    "ip -4 rule delete table 51820",
    ...rest,
  ]);
  deepEqual(echoes(planDown("wg0", quick, { ...facts, hasDefaultRoute: false }, deletion("wg0"))), [
    "a wg0",
    ...rest,
  ]);
  deepEqual(echoes(planDown("wg0", { ...quick, table: "off" }, facts, deletion("wg0"))), ["a wg0", ...rest]);
});

Deno.test("planUp() gives systemd-resolved the servers, and all names unless a split tunnel has domains", () => {
  const resolved = (dns: string, allowedIps: string) =>
    echoes(up(`[Interface]\nDNS = ${dns}\n${peer(allowedIps)}`, { dns: { by: "resolved" } }))
      .filter((echo) => echo.startsWith("resolvectl"));
  const servers = "resolvectl dns wg0 10.0.0.1";
  deepEqual(resolved("10.0.0.1", "10.0.0.0/24"), [servers, "resolvectl domain wg0 ~."]);
  deepEqual(resolved("10.0.0.1, a.example", "10.0.0.0/24"), [servers, "resolvectl domain wg0 a.example"]);
  deepEqual(resolved("10.0.0.1, a.example", "0.0.0.0/0"), [servers, "resolvectl domain wg0 a.example ~."]);
});
