import { deepEqual, equal, match } from "node:assert/strict";
import { parseQuickConfig } from "../../../core/config/quick_config.ts";
import { parseWgConfig } from "../../../core/config/wg_config.ts";
import { addressing, plannedMtu, type ScriptFacts, setupScript } from "../../../core/exec/script.ts";

const FACTS: ScriptFacts = {
  routeMtus: [1_500],
  resolvConf: "/etc/resolv.conf",
  stage: "/tmp",
  resolvers: [],
  group: 1000,
};

function plan(
  text: string,
  facts: Partial<ScriptFacts> = {},
): { calls: string[]; mtu: number; script: string } {
  const { quick, wg: lines } = parseQuickConfig(text);
  const calls = addressing("wg0", quick, parseWgConfig(lines), { ...FACTS, ...facts });
  return {
    calls: calls.map((words) => words.join(" ")),
    mtu: plannedMtu(calls),
    script: setupScript("wg0", quick, calls, { ...FACTS, ...facts }),
  };
}

const PEER = `[Peer]\nPublicKey = ${btoa("k".repeat(32))}\n`;

Deno.test("a full tunnel is two routes, without rules, marks or a firewall", () => {
  const { calls, mtu } = plan(
    `[Interface]\nAddress = 10.8.0.2/24, fd00::2/64\nPostUp = touch /hook\n${PEER}AllowedIPs = 0.0.0.0/0, ::/0\n`,
  );
  deepEqual(calls, [
    "ip -4 address add 10.8.0.2/24 dev wg0",
    "ip -6 address add fd00::2/64 dev wg0",
    "ip link set mtu 1420 up dev wg0",
    "ip -6 route add ::/0 dev wg0 table main",
    "ip -4 route add 0.0.0.0/0 dev wg0 table main",
  ]);
  equal(mtu, 1_420);
});

Deno.test("Table = off does not leave out routes, because the tunnel has no other", () => {
  const { calls } = plan(
    `[Interface]\nAddress = 10.8.0.2/32\nTable = off\nMTU = 1280\n${PEER}AllowedIPs = 10.9.0.0/16\n`,
  );
  deepEqual(calls.slice(1), [
    "ip link set mtu 1280 up dev wg0",
    "ip -4 route add 10.9.0.0/16 dev wg0 table main",
  ]);
});

Deno.test("no route is added for the network of an address", () => {
  const { calls } = plan(
    `[Interface]\nAddress = 10.8.0.2/24, fd00::2/64\n${PEER}AllowedIPs = 10.8.0.0/24, fd00::/64, 10.8.0.1/32, 10.0.0.0/8\n`,
  );
  deepEqual(calls.slice(3), ["ip -4 route add 10.0.0.0/8 dev wg0 table main"]);
});

Deno.test("thousands of routes are set by one process", () => {
  const networks = [...Array(3_000).keys()].map((i) => `10.${i >> 8}.${i & 255}.0/24`);
  const { script } = plan(
    `[Interface]\nAddress = 10.99.0.2/32\n${PEER}AllowedIPs = ${networks.join(", ")}\n`,
  );
  equal(script.match(/\| ip -4 -batch -/g)?.length, 1);
  equal(script.match(/route add/g)?.length, 3_000);
});

Deno.test("DNS servers replace the machine's resolv.conf, even if it is a link, and other resolvers are hidden", () => {
  const text = "[Interface]\nAddress = 10.8.0.2/32\nDNS = 10.8.0.1, corp.example\n";
  const direct = plan(text, { resolvers: ["/run/nscd"] }).script;
  match(
    direct,
    /tmpfs \/run\/nscd\n.*tmpfs \/tmp\nprintf %s 'nameserver 10\.8\.0\.1\nsearch corp\.example\n' > \/tmp\/resolv\.conf\n/,
  );
  match(direct, /mount --bind \/tmp\/resolv\.conf \/etc\/resolv\.conf\numount -l \/tmp\n$/);
  const link = "/run/systemd/resolve/stub-resolv.conf";
  const resolved = plan(text, { resolvConf: link, resolvers: ["/run/systemd/resolve"] }).script;
  match(
    resolved,
    /tmpfs \/run\/systemd\/resolve\nprintf %s '[^']*' > \/run\/systemd\/resolve\/stub-resolv\.conf\n$/,
  );
  equal(/mount|printf/.test(plan("[Interface]\nAddress = 10.8.0.2/32\n").script), false);
});

Deno.test("a word with characters that a shell interprets stays one word", () => {
  const { script } = plan(`[Interface]\nAddress = 10.8.0.2/32\nDNS = 1.1.1.1, it's $HOME\n`);
  match(script, /search it'\\''s \$HOME/);
});
