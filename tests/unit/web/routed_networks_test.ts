/**
 * Networks behind devices: who may set them, what they may not overlap, and that the interface follows.
 *
 * @module
 */

import { deepEqual, equal, ok, throws } from "node:assert/strict";
import type { QuickRunOptions } from "../../../core/quick/source.ts";
import { planImport } from "../../../core/web/import/plan.ts";
import { Keeper } from "../../../core/web/keeper/keeper.ts";
import { DeviceRoutes } from "../../../core/web/device_routes.ts";
import { KeeperError } from "../../../core/web/keeper/verbs.ts";
import { generateKeys } from "../../netns/lab/keys.ts";
import { eventually } from "../../netns/lab/exec.ts";
import { eachDatabase } from "./databases.ts";
import { type Browser, World } from "./world.ts";

async function add(admin: Browser, name: string, more: Record<string, unknown> = {}) {
  const { publicKey } = generateKeys();
  const added = await admin.post("/devices", { network: "wg0", name, publicKey, ...more });
  return { ...added, publicKey, id: added.body.id as string };
}

eachDatabase("networks behind a device follow at the interface and in the routes", async (database) => {
  await using world = await World.start(database);
  const admin = await world.signedIn();
  const { id, publicKey } = await add(admin, "router", { routedNetworks: ["192.168.7.9/24", "fd07::/64"] });
  const networks = ["192.168.7.0/24", "fd07::/64"];
  const peer = () => world.keeper.addresses.get(`wg0 ${publicKey}`);
  deepEqual((await admin.get(`/devices/${id}`)).body.routedNetworks, networks);
  deepEqual(peer(), ["10.8.0.2", ...networks]);
  deepEqual(world.keeper.routes.get("wg0"), networks);
  ok(!(await admin.get(`/devices/${id}/config`)).body.includes("192.168.7"));
  equal((await admin.get("/devices?search=192.168.7.0")).body.total, 1);

  // As after a start.
  world.keeper.interfaces.clear();
  world.keeper.addresses.clear();
  world.keeper.routes.clear();
  await world.peers.sync();
  deepEqual(peer()?.toSorted(), ["10.8.0.2", ...networks]);
  deepEqual(world.keeper.routes.get("wg0"), networks);

  const changed = await admin.patch(`/devices/${id}`, { routedNetworks: ["192.168.8.0/24"] });
  deepEqual([changed.status, changed.body.routedNetworks], [200, ["192.168.8.0/24"]]);
  deepEqual(peer(), ["10.8.0.2", "192.168.8.0/24"]);
  deepEqual(world.keeper.routes.get("wg0"), ["192.168.8.0/24"]);
  const [event] = (await admin.get("/events")).body.items;
  deepEqual([event.before.routedNetworks, event.after.routedNetworks], [networks, ["192.168.8.0/24"]]);

  // The route of a device that is cut off stays, so that its packets do not take another way.
  await admin.patch(`/devices/${id}`, { disabled: true });
  deepEqual([world.hasPeer(publicKey), world.keeper.routes.get("wg0")], [false, ["192.168.8.0/24"]]);
  world.keeper.addresses.clear();
  await admin.patch(`/devices/${id}`, { routedNetworks: ["192.168.9.0/24"] });
  deepEqual([world.hasPeer(publicKey), peer()], [false, undefined]);
  await admin.patch(`/devices/${id}`, { disabled: false });
  deepEqual(peer(), ["10.8.0.2", "192.168.9.0/24"]);

  world.keeper.refuses.add("setRoutes");
  equal((await admin.patch(`/devices/${id}`, { routedNetworks: ["192.168.10.0/24"] })).status, 202);
  await world.peers.sync();
  deepEqual(world.keeper.routes.get("wg0"), ["192.168.10.0/24"]);
  equal((await admin.delete(`/devices/${id}`)).status, 204);
  deepEqual(world.keeper.routes.get("wg0"), []);
});

eachDatabase("a network to which there can be no route is a reason of its device", async (database) => {
  await using world = await World.start(database);
  const admin = await world.signedIn();
  await world.peers.sync();
  const network = "192.0.2.0/25";
  world.keeper.unroutable.set(network, "this machine is connected to 192.0.2.0/24");
  const refused = await add(admin, "refused", { routedNetworks: ["192.168.6.0/24", network] });
  equal(refused.status, 503);
  ok(refused.body.error.message.includes("this machine is connected to 192.0.2.0/24"));
  equal(world.peers.isSettled, true, "the interface need not be compared");
  deepEqual([world.hasPeer(refused.publicKey), world.keeper.routes.get("wg0")], [false, []]);
  deepEqual([...world.peers.routes.all()], []);

  const { id } = await add(admin, "router");
  equal((await admin.patch(`/devices/${id}`, { routedNetworks: [network, "192.168.7.0/24"] })).status, 200);
  equal(world.peers.isSettled, true);
  deepEqual(world.keeper.routes.get("wg0"), ["192.168.7.0/24"]);
  const reasons = async () =>
    (await admin.get(`/devices/${id}/reasons`)).body.map((reason: { code: string; text: string }) => reason);
  const [first] = await reasons();
  equal(first.code, "unroutable");
  ok(first.text.includes(`${network} (this machine is connected to 192.0.2.0/24)`), first.text);
  // A comparison neither forgets it nor fails.
  await world.peers.sync();
  deepEqual([world.peers.isSettled, (await reasons())[0].code], [true, "unroutable"]);

  world.keeper.unroutable.clear();
  world.peers.routes.changed();
  await eventually("the route to be set", () => world.keeper.routes.get("wg0")!.includes(network));
  equal((await reasons()).some(({ code }: { code: string }) => code === "unroutable"), false);
});

eachDatabase("a router without an address keeps at least one network", async (database) => {
  await using world = await World.start(database);
  const admin = await world.signedIn();
  const { id: networkId } = (await world.store.networks.find("wg0"))!;
  const { publicKey } = generateKeys();
  const router = { networkId, name: "router", publicKey, addresses: [], routedNetworks: ["192.168.7.0/24"] };
  const { id } = await world.store.devices.add(router, world.now);
  await world.peers.sync();
  const { status, body } = await admin.patch(`/devices/${id}`, { routedNetworks: [] });
  deepEqual([status, body.error.field, body.error.detail.code], [400, "routedNetworks", "needs-one"]);
  deepEqual((await world.store.devices.find(id))!.routedNetworks, ["192.168.7.0/24"]);
  equal((await admin.patch(`/devices/${id}`, { routedNetworks: ["192.168.8.0/24"] })).status, 200);
});

Deno.test("routes are tried again once for many changes of the network", async () => {
  let tries = 0;
  const failure = [{ network: "192.0.2.0/25", cause: "no" }];
  const tried = Promise.withResolvers<void>();
  using routes = new DeviceRoutes(() => {
    tries++;
    tried.resolve();
  });
  // Its own retry would be after half a minute.
  for (let at = 0; at < 6; at++) routes.note("wg0", failure);
  for (let at = 0; at < 1_000; at++) routes.changed();
  await tried.promise;
  routes.note("wg0", failure);
  for (let at = 0; at < 1_000; at++) routes.changed();
  await new Promise((resolve) => setTimeout(resolve));
  equal(tries, 1);
});

eachDatabase("networks behind devices overlap neither each other nor a VPN", async (database) => {
  await using world = await World.start(database);
  await world.addNetwork("wg1", "10.9.0.1/24");
  const admin = await world.signedIn();
  const router = await add(admin, "router", { routedNetworks: ["192.168.7.0/24"] });
  const other = await add(admin, "other");
  for (
    const [networks, status] of [
      [["192.168.7.128/25"], 409],
      [["192.168.0.0/16"], 409],
      [["10.8.0.0/24"], 409],
      [["10.0.0.0/8"], 409],
      [["10.9.0.7/32"], 409],
      [["172.16.0.0/16", "172.16.3.0/24"], 409],
      [["0.0.0.0/0"], 400],
      [["::/0"], 400],
      [["here"], 400],
      [
        [11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27].map((at) => `${at}.0.0.0/8`),
        400,
      ],
      [["127.0.0.2/32"], 400],
      [["169.254.169.254/32"], 400],
      [["239.0.0.0/8"], 400],
      [["fe80::/64"], 400],
      [["::1/128"], 400],
      [Array.from({ length: 65 }, (_, at) => `172.16.${at}.0/24`), 400],
      [["192.168.8.0/24"], 200],
    ] as const
  ) {
    const { status: got, body } = await admin.patch(`/devices/${other.id}`, { routedNetworks: networks });
    equal(got, status, networks.join());
    if (status !== 200) equal(body.error.field, "routedNetworks");
  }
  const overlapping = await admin.patch(`/devices/${other.id}`, { routedNetworks: ["192.168.7.128/25"] });
  deepEqual(overlapping.body.error.detail, {
    code: "overlaps-device",
    values: { network: "192.168.7.128/25", other: "192.168.7.0/24", name: "router" },
  });
  equal((await add(admin, "third", { routedNetworks: ["192.168.8.0/25"] })).status, 409);
  // It may keep a part of its own.
  const own = { routedNetworks: ["192.168.7.0/25"] };
  equal((await admin.patch(`/devices/${router.id}`, own)).status, 200);
  const vpn = { name: "wg2", address: "192.168.7.1/24", endpoint: "192.0.2.1:51821" };
  const { status, body } = await admin.post("/networks", vpn);
  deepEqual([status, body.error.field], [409, "address"]);
});

eachDatabase("only an administrator sets the networks behind a device", async (database) => {
  await using world = await World.start(database);
  const admin = await world.signedIn();
  const anna = await world.addUser(admin, "anna");
  const user = await world.signedIn("anna", "anna's own words");
  const wanted = { routedNetworks: ["192.168.7.0/24"] };
  const { publicKey } = generateKeys();
  equal((await user.post("/me/devices", { network: "wg0", name: "mine", publicKey, ...wanted })).status, 400);
  const { id } = await add(admin, "hers", { owner: anna });
  equal((await user.patch(`/me/devices/${id}`, { name: "mine", ...wanted })).status, 400);
  equal((await user.patch(`/devices/${id}`, wanted)).status, 403);
  const { token } = (await admin.post("/tokens", { name: "program", scopes: ["devices"] })).body;
  const program = world.browser();
  program.headers = { authorization: `Bearer ${token}` };
  equal((await add(program, "plain")).status, 201);
  equal((await add(program, "router", wanted)).status, 403);
  equal((await program.patch(`/devices/${id}`, wanted)).status, 403);
  deepEqual((await admin.get(`/devices/${id}`)).body.routedNetworks, []);
  equal((await admin.patch(`/devices/${id}`, wanted)).status, 200);
  // Its owner sees them, and renaming it keeps them.
  equal((await user.patch(`/me/devices/${id}`, { name: "router" })).status, 200);
  deepEqual((await user.get("/me/devices")).body[0].routedNetworks, wanted.routedNetworks);
});

eachDatabase("the file of a router does not send its own site into the tunnel", async (database) => {
  await using world = await World.start(database);
  const admin = await world.signedIn();
  const router = await add(admin, "router", { routedNetworks: ["192.168.7.0/24", "fd07::/64"] });
  const phone = await add(admin, "phone");
  const [network] = (await admin.get("/networks")).body;
  for (
    const [allowedIps, ofPhone, ofRouter] of [
      [["10.8.0.0/24", "192.168.7.0/24"], "10.8.0.0/24, 192.168.7.0/24", "10.8.0.0/24"],
      [
        ["10.8.0.0/24", "192.168.7.128/25", "fd07::/64"],
        "10.8.0.0/24, 192.168.7.128/25, fd07::/64",
        "10.8.0.0/24",
      ],
      // Its own routes are more specific than these.
      [["0.0.0.0/0", "192.168.0.0/16"], "0.0.0.0/0, 192.168.0.0/16", "0.0.0.0/0, 192.168.0.0/16"],
    ] as const
  ) {
    equal((await admin.patch(`/networks/${network.id}`, { allowedIps })).status < 300, true);
    const lineOf = async (id: string) =>
      /^AllowedIPs = (.*)$/m.exec((await admin.get(`/devices/${id}/config`)).body)?.[1];
    deepEqual([await lineOf(phone.id), await lineOf(router.id)], [ofPhone, ofRouter]);
  }
});

Deno.test("the keeper accepts no reserved networks behind a device, and not most of the Internet", () => {
  const keeper = new Keeper({
    ...{ folder: "/nowhere", certificate: { get: () => Promise.reject(new Error()) }, clock: () => 0 },
    quick: {} as QuickRunOptions,
  });
  const all = Array.from({ length: 223 }, (_, at) => `${at + 1}.0.0.0/8`).filter((text) =>
    text !== "127.0.0.0/8"
  );
  const { publicKey } = generateKeys();
  for (
    const networks of [["0.0.0.0/0"], ["169.254.169.254/32"], ["::1/128"], ["fe80::/64"], ["10.8.0.0/7"], all]
  ) {
    throws(() => keeper.do("setRoutes", { interface: "wg0", networks }), KeeperError, networks[0]);
    if (networks === all) continue;
    const peers = [{ publicKey, addresses: [], networks }];
    throws(() => keeper.do("addPeers", { interface: "wg0", peers }), KeeperError, networks[0]);
  }
});

Deno.test("planImport(): networks behind peers are taken over unless they overlap", () => {
  const peer = (name: string, ...allowedIps: string[]) => ({
    ...{ name, allowedIps, publicKey: generateKeys().publicKey, presharedKey: undefined },
    ...{ enabled: true, hadPrivateKey: false },
  });
  const plan = (...peers: ReturnType<typeof peer>[]) =>
    planImport(
      {
        ...{
          source: "a file",
          interface: "wg0",
          addresses: ["10.8.0.1/24", "fd08::1/64"],
          listenPort: 51820,
        },
        ...{ publicKey: generateKeys().publicKey, section: "", isRunning: false, notes: [], peers },
      },
      { endpoint: "192.0.2.1" },
      [],
    );
  const site = plan(
    peer("site", "10.8.0.2/32", "192.168.7.0/24", "fd08::2/128", "172.16.0.5"),
    peer("phone", "10.8.0.3"),
    peer("router", "192.0.2.0/24", "198.51.100.7/32"),
    peer("", "203.0.113.0/24"),
  );
  deepEqual(site.conflicts, []);
  deepEqual(site.devices.map(({ addresses, routedNetworks }) => [addresses, routedNetworks]), [
    [["10.8.0.2", "fd08::2"], ["192.168.7.0/24", "172.16.0.5/32"]],
    [["10.8.0.3"], []],
    [[], ["192.0.2.0/24", "198.51.100.7/32"]],
    [[], ["203.0.113.0/24"]],
  ]);
  equal(site.devices.at(-1)!.name, "203.0.113.0/24");
  const { conflicts } = plan(
    peer("one", "10.8.0.2", "192.168.7.0/24"),
    peer("two", "10.8.0.3", "192.168.0.0/16"),
    peer("all", "10.8.0.4", "0.0.0.0/0"),
    peer("cloud", "10.8.0.6", "169.254.169.254/32"),
    peer("near", "10.8.0.5", "fd08::/48"),
    peer("far", "192.168.9.2"),
  );
  deepEqual(conflicts.map((text) => text.replace(/ \(.{44}\)/g, "")), [
    "two: 192.168.0.0/16 overlaps 192.168.7.0/24 of one",
    "all: 0.0.0.0/0 is not a network behind a device: its prefix is too short",
    "cloud: 169.254.169.254/32 is not a network behind a device: it is reserved",
    "near: fd08::/48 overlaps fd08::/64 of the server",
    "far: 192.168.9.2 is not in 10.8.0.0/24 or fd08::/64: give the server an address that has it in its network",
  ]);
});

eachDatabase("a router that has networks alone is a peer like others", async (database) => {
  await using world = await World.start(database);
  const admin = await world.signedIn();
  const [network] = await world.store.networks.list();
  const { publicKey } = generateKeys();
  const routedNetworks = ["192.0.2.0/24"];
  const { id } = await world.store.devices.add(
    { networkId: network!.id, name: "router", publicKey, addresses: [], routedNetworks },
    world.now,
  );
  await world.peers.sync();
  deepEqual(world.keeper.addresses.get(`wg0 ${publicKey}`), routedNetworks);
  const { body } = await admin.get("/devices?search=192.0.2.0");
  deepEqual(body.items.map(({ addresses }: { addresses: string[] }) => addresses), [[]]);
  ok(!(await admin.get(`/devices/${id}/config`)).body.includes("Address"));
  await admin.patch(`/devices/${id}`, { disabled: true });
  equal(world.hasPeer(publicKey), false);
  await admin.patch(`/devices/${id}`, { disabled: false });
  deepEqual(world.keeper.addresses.get(`wg0 ${publicKey}`), routedNetworks);
  equal((await admin.delete(`/devices/${id}`)).status, 204);
});
