/**
 * The keeper's routes to networks behind devices, beside the routes that a server has already.
 *
 * @module
 */

import { equal, match, ok } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { eventually } from "./lab/exec.ts";
import { connect, Network } from "./lab/network.ts";
import { rootTest } from "./lab/rooted.ts";
import { ADMIN, WEB_PROGRAMS, WebLab } from "./lab/web.ts";

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
    ok(refused.includes(`${own}: this machine is connected to `), refused);
  }
  match(await routes(), /^192\.168\.7\.0\/24 .*\nfd07::\/64 /);
  match(await server.sh("ip route get 192.0.2.254"), / dev lan /);
  match(await server.sh("ip -6 route get fd02::254"), / dev lan /);

  equal(await set("192.168.7.0/24"), "");
  match(await routes(), /^192\.168\.7\.0\/24 [^\n]*\s*$/);
});

await rootTest(
  "a route that cannot be set has a reason, and is set when the machine's network changes",
  { programs: WEB_PROGRAMS },
  async () => {
    await using lab = await WebLab.start();
    await lab.settled();
    const { id } = await lab.addDevice("router");
    await lab.server.ok("ip", "address", "add", "198.51.100.1/24", "dev", "eth0");
    const admin = lab.browser("admin");
    equal((await admin("POST", "/sign-in", ADMIN)).status, 200);
    const routedNetworks = ["198.51.100.0/25", "192.168.7.0/24"];
    equal((await admin("PATCH", `/devices/${id}`, { routedNetworks })).status, 200);
    const codes = async () =>
      (await lab.call("GET", `/devices/${id}/reasons`)).body.map(({ code }: { code: string }) => code);
    equal((await codes())[0], "unroutable");
    equal(
      await lab.health(),
      "ok, but 198.51.100.0/25 cannot be routed to wg0: this machine is connected to 198.51.100.0/24\n",
    );
    match(await lab.server.sh("ip route show dev wg0 proto 201"), /^192\.168\.7\.0\/24 [^\n]*\s*$/);
    await lab.server.ok("ip", "address", "del", "198.51.100.1/24", "dev", "eth0");
    await eventually(
      "the route",
      async () => (await lab.server.sh("ip route show dev wg0 proto 201")).includes("198.51.100.0/25"),
    );
    // The system has the route before the web process knows it.
    await lab.settled();
    ok(!(await codes()).includes("unroutable"));
  },
);
