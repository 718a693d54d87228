/**
 * The keeper's routes to networks behind devices, beside the routes that a server has already.
 *
 * @module
 */

import { equal, match, ok } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { connect, Network } from "./lab/network.ts";
import { rootTest } from "./lab/rooted.ts";

const PROGRAM = fileURLToPath(new URL("lab/routes_program.ts", import.meta.url));

await rootTest("the keeper does not lead a server's own networks into a tunnel", {}, async () => {
  await using network = await Network.create("server", "other");
  const [server, other] = network.hosts;
  const set = (...networks: string[]) =>
    server.ok(Deno.execPath(), "run", "--allow-all", "--no-check", "--quiet", PROGRAM, ...networks);
  const routes = () => server.sh("ip route show dev wg0 proto 201; ip -6 route show dev wg0 proto 201");
  await connect(
    { host: server, name: "lan", addresses: ["192.0.2.1/24", "fd02::1/64"] },
    { host: other, name: "lan", addresses: ["192.0.2.254/24", "fd02::254/64"] },
  );
  await server.sh("ip route add default via 192.0.2.254; ip -6 route add default via fd02::254");
  await connect(
    { host: server, name: "wg0", addresses: ["10.8.0.1/24"] },
    { host: other, name: "tunnel", addresses: [] },
  );

  const refused = await set("192.0.2.254/32", "192.0.2.0/25", "fd02::254/128", "192.168.7.0/24", "fd07::/64");
  for (const own of ["192.0.2.254/32", "192.0.2.0/25", "fd02::254/128"]) {
    ok(refused.includes(`${own} cannot be routed to wg0: this machine is connected to `), refused);
  }
  match(await routes(), /^192\.168\.7\.0\/24 .*\nfd07::\/64 /);
  match(await server.sh("ip route get 192.0.2.254"), / dev lan /);
  match(await server.sh("ip -6 route get fd02::254"), / dev lan /);

  equal(await set("192.168.7.0/24"), "");
  match(await routes(), /^192\.168\.7\.0\/24 [^\n]*\s*$/);
});
