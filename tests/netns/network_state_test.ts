/**
 * What the kernel tells of a network over netlink, beside what `ip` has made.
 *
 * @module
 */

import { deepEqual, equal } from "node:assert/strict";
import type { NetworkState } from "../../core/client/kernel_network.ts";
import { Host } from "./lab/host.ts";
import { rootTest } from "./lab/rooted.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const SCRIPT = `
import { networkState } from "${ROOT}core/client/kernel_network.ts";
import { linkIndex } from "${ROOT}core/client/system.ts";
console.log(JSON.stringify(Deno.args.map((name) => networkState(linkIndex(name)))));
Deno.exit();
`;

async function states(host: Host, ...names: string[]): Promise<NetworkState[]> {
  await host.sh("cat > /run/lab/ask.ts", { stdin: SCRIPT });
  return JSON.parse(await host.ok(Deno.execPath(), "run", "-A", "--quiet", "/run/lab/ask.ts", ...names));
}

await rootTest("an interface's state, addresses, routes, and the machine's rules", {}, async () => {
  await using host = await Host.create("host");
  await host.sh(`
    ip link add name one type veth peer name two
    ip link set one mtu 1300
    ip address add 10.0.0.2/24 dev one
    ip address add 10.0.9.1 peer 10.0.9.2/32 dev one
    ip address add fd00::2/64 dev one nodad
    ip link set one up; ip link set two up
    ip route add 10.1.0.0/16 dev one table 100000
    ip route add default dev one table 7
    ip route add 10.2.0.0/16 dev two
    ip -6 route add fd01::/64 dev one
    ip route add blackhole 10.3.0.0/16
    ip rule add not fwmark 51820 table 51820 pref 100
    ip rule add table main suppress_prefixlength 0 pref 99
    ip rule add fwmark 0x10/0xff table 5 pref 98
    ip rule add from 10.0.0.0/8 table 5 pref 97
    ip rule add iif one table 5 pref 96
    ip rule add tos 0x10 table 5 pref 95
    ip rule add to 10.0.0.1 prohibit pref 94
    ip -6 rule add fwmark 1 table 300 pref 100`);
  const [one, nobody] = await states(host, "one", "nobody");
  deepEqual(one!.link, { up: true, mtu: 1300 });
  deepEqual(one!.addresses.filter((address) => !address.startsWith("fe80")), [
    "10.0.0.2/24",
    "10.0.9.1/32",
    "fd00::2/64",
  ]);
  const routes = one!.routes.filter(({ table, network }) => table !== 255 && !/^(fe80|ff00)/.test(network));
  deepEqual(routes.map(({ table, network }) => `${network} ${table}`).sort(), [
    "0.0.0.0/0 7",
    "10.0.0.0/24 254",
    "10.0.9.2/32 254",
    "10.1.0.0/16 100000",
    "fd00::/64 254",
    "fd01::/64 254",
  ]);
  deepEqual(one!.rules.filter(({ priority }) => priority > 90 && priority < 32_000), [
    { family: 4, priority: 99, table: 254, inverted: false, suppressedLength: 0 },
    { family: 4, priority: 100, table: 51_820, inverted: true, mark: 51_820 },
    { family: 6, priority: 100, table: 300, inverted: false, mark: 1 },
  ]);
  equal(nobody!.link, undefined);
  deepEqual([nobody!.addresses, nobody!.routes, nobody!.rules], [[], [], one!.rules]);
});
