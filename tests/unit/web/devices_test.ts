/**
 * Devices through the whole API: what is written down about them, and how they are found.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { eventually } from "../../netns/lab/exec.ts";
import { generateKeys } from "../../netns/lab/keys.ts";
import { eachDatabase } from "./databases.ts";
import { type Browser, World } from "./world.ts";

eachDatabase(
  "devices: each change is a line of the audit log, with the previous values",
  async (database) => {
    await using world = await World.start(database);
    const admin = await world.signedIn();
    const anna = await world.addUser(admin, "anna");
    const { publicKey } = generateKeys();
    const { id } = (await admin.post("/devices", { network: "wg0", name: "phone", publicKey })).body;
    const changes = [
      { name: "telephone" },
      { disabled: true, reason: "lost" },
      { owner: anna, expiresAt: "2031-01-01T00:00:00.000Z" },
    ];
    for (const change of changes) equal((await admin.patch(`/devices/${id}`, change)).status, 200);
    const events = (await admin.get("/events")).body.items.filter(({ action }: { action: string }) =>
      action === "device.change"
    ).reverse();
    const disabledAt = new Date(world.now).toISOString();
    const states = [
      { name: "phone", disabledAt: null, reason: null, expiresAt: null, owner: null },
      { name: "telephone", disabledAt: null, reason: null, expiresAt: null, owner: null },
      { name: "telephone", disabledAt, reason: "lost", expiresAt: null, owner: null },
      { name: "telephone", disabledAt, reason: "lost", expiresAt: changes[2]!.expiresAt, owner: "anna" },
    ];
    equal(events.length, changes.length);
    for (const [at, { actor, target, before, after }] of events.entries()) {
      equal(actor.name, "root");
      equal(target, `device:${id}`);
      deepEqual([before, after], states.slice(at, at + 2));
    }
  },
);

eachDatabase(
  "devices: a search finds names, owners, addresses and keys as they are now",
  async (database) => {
    await using world = await World.start(database);
    const admin = await world.signedIn();
    const anna = await world.addUser(admin, "anna", { email: "old@example.org" });
    const { publicKey } = generateKeys();
    const { id } =
      (await admin.post("/devices", { network: "wg0", name: "Phone", publicKey, owner: anna })).body;
    const finds = async (search: string) =>
      (await admin.get(`/devices?search=${encodeURIComponent(search)}`)).body.total === 1;
    await admin.patch(`/devices/${id}`, { name: "Telefon" });
    await admin.patch(`/users/${anna}`, { email: "new@example.org" });
    const words = ["telefon", "anna", "10.8.0.2", publicKey, "phone", "old@example.org", "%", "_"];
    const found = [];
    for (const word of words) found.push(await finds(word));
    deepEqual(found, [true, true, true, true, false, false, false, false]);
  },
);

eachDatabase("devices: one that is added stays added if the keeper fails afterwards", async (database) => {
  await using world = await World.start(database);
  const admin = await world.signedIn();
  const anna = await world.addUser(admin, "anna");
  const { keeper } = world;
  const { publicKey } = generateKeys();
  // So the new peer is removed again, after its PresharedKey has been read.
  equal((await admin.patch(`/users/${anna}`, { disabled: true })).status, 200);
  keeper.awayAfter = "presharedKey";
  const added = await admin.post("/devices", { network: "wg0", name: "phone", publicKey, owner: anna });
  equal(added.status, 201, JSON.stringify(added.body));
  ok(added.body.config.includes("[Peer]"));
  ok(world.hasPeer(publicKey));
  keeper.away = false;
  await eventually("the peer to be removed", () => !world.hasPeer(publicKey));
  deepEqual(await lines(admin, added.body.id), ["device.add"]);
});

eachDatabase(
  "devices: one that the keeper cannot add is removed, and the audit log records it",
  async (database) => {
    await using world = await World.start(database);
    const admin = await world.signedIn();
    const { publicKey } = generateKeys();
    const wanted = { network: "wg0", name: "phone", publicKey };
    world.keeper.away = true;
    equal((await admin.post("/devices", wanted)).status, 503);
    world.keeper.away = false;
    equal((await admin.get("/devices")).body.total, 0);
    const { id } = (await admin.post("/devices", wanted)).body;
    deepEqual(await lines(admin, id), ["device.add"]);
    const { items } = (await admin.get("/events")).body;
    deepEqual(
      items.map(({ action }: { action: string }) => action).filter((action: string) =>
        /^device/.test(action)
      ),
      ["device.add", "device.remove", "device.add"],
    );
  },
);

/** The actions in the audit log on a device. */
async function lines(admin: Browser, id: string): Promise<string[]> {
  const { items } = (await admin.get("/events")).body;
  return items.filter(({ target }: { target: string }) => target === `device:${id}`)
    .map(({ action }: { action: string }) => action);
}
