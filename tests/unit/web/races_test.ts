/**
 * Requests at once, to two processes that share a database.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import { admit } from "../../../core/web/sign_in/admission.ts";
import type { Provider } from "../../../core/web/store/providers.ts";
import { generateKeys } from "../../netns/lab/keys.ts";
import { eachDatabase } from "./databases.ts";
import { type Answer, type Browser, World } from "./world.ts";

eachDatabase("addresses: two processes assign no address twice, and leave no gap", async (database) => {
  await using world = await World.start(database);
  await using other = await database.store();
  const { id: networkId } = (await world.store.networks.find("wg0"))!;
  const stores = [world.store, other];
  const devices = await Promise.all(
    Array.from({ length: 200 }, (_, at) =>
      stores[at % 2]!.devices.add(
        { networkId, name: `device ${at}`, publicKey: generateKeys().publicKey },
        world.now,
      )),
  );
  const hosts = devices.map(({ addresses: [address] }) => Number(address!.split(".")[3])).sort((a, b) =>
    a - b
  );
  deepEqual(hosts, Array.from({ length: 200 }, (_, at) => at + 2));
});

eachDatabase("addresses: one of several simultaneous requests gets the last address", async (database) => {
  await using world = await World.start(database);
  await world.addNetwork("wg1", "10.9.0.1/29");
  const there = await world.beside();
  const admin = await world.signedIn();
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, at) =>
      (at % 2 === 0 ? admin : admin.at(there)).post("/devices", {
        network: "wg1",
        name: `device ${at}`,
        publicKey: generateKeys().publicKey,
      })),
  );
  // Of eight addresses the first is the network's, the last is for broadcasts, and one is the server's.
  deepEqual(answers.map(({ status }) => status).sort(), [...Array(5).fill(201), ...Array(7).fill(409)]);
  const refused = answers.filter(({ status }) => status === 409).map(({ body }) => body.error.code);
  deepEqual(new Set(refused), new Set(["network-full"]));
});

eachDatabase("limit: simultaneous requests cannot exceed the limit of devices", async (database) => {
  await using world = await World.start(database);
  const there = await world.beside();
  await world.addUser(await world.signedIn(), "anna", { maxDevices: 3 });
  const anna = await world.signedIn("anna", "anna's own words");
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, at) =>
      (at % 2 === 0 ? anna : anna.at(there)).post("/me/devices", {
        network: "wg0",
        name: `device ${at}`,
        publicKey: generateKeys().publicKey,
      })),
  );
  deepEqual(answers.map(({ status }) => status).sort(), [...Array(3).fill(201), ...Array(9).fill(409)]);
  equal((await anna.get("/me/devices")).body.length, 3);
});

const TAKINGS: Readonly<Record<string, (browser: Browser, id: string) => Promise<Answer>>> = {
  "the role": (browser, id) => browser.patch(`/users/${id}`, { role: "user" }),
  "the account": (browser, id) => browser.patch(`/users/${id}`, { disabled: true }),
  "everything": (browser, id) => browser.delete(`/users/${id}`),
};
for (const [what, take] of Object.entries(TAKINGS)) {
  eachDatabase(
    `administrators: two cannot remove each other's ${what} at the same time`,
    async (database) => {
      await using world = await World.start(database);
      const there = await world.beside();
      const first = await world.signedIn();
      const firstId = (await first.get("/me")).body.user.id;
      const secondId = await world.addUser(first, "second", { role: "admin" });
      const second = (await world.signedIn("second", "second's own words")).at(there);
      const answers = await Promise.all([take(first, secondId), take(second, firstId)]);
      equal(answers.filter(({ status }) => status < 300).length, 1, JSON.stringify(answers));
      equal(await world.store.users.countAdmins(world.now), 1);
    },
  );
}

eachDatabase(
  "removal: a device that is added while its owner is removed leaves no peer",
  async (database) => {
    await using world = await World.start(database);
    const admin = await world.signedIn();
    for (let round = 0; round < 8; round++) {
      const id = await world.addUser(admin, `anna ${round}`);
      const anna = await world.signedIn(`anna ${round}`, `anna ${round}'s own words`);
      const add = (n: number) =>
        anna.post("/me/devices", { network: "wg0", name: `${n}`, publicKey: generateKeys().publicKey });
      const byAdmin = { network: "wg0", name: "x", owner: id, publicKey: generateKeys().publicKey };
      const later = async (ask: () => Promise<Answer>, turns: number) => {
        for (let n = 0; n < turns; n++) await new Promise((resolve) => setImmediate(resolve));
        return await ask();
      };
      const answers = await Promise.all([
        ...[1, 2, 3].map(add),
        later(() => admin.delete(`/users/${id}`), round),
        ...[4, 5, 6].map((n) => later(() => add(n), n)),
        later(() => admin.post("/devices", byAdmin), 2 * round),
      ]);
      ok(answers.every(({ status }) => status < 500), JSON.stringify(answers));
      const kept = (await admin.get("/devices?limit=100")).body.items as { publicKey: string }[];
      deepEqual(
        [...world.keeper.interfaces.get("wg0") ?? []].sort(),
        kept.map(({ publicKey }) => publicKey).sort(),
      );
    }
  },
);

eachDatabase(
  "administrators: a provider is not removed if its group makes the last administrator",
  async (database) => {
    await using world = await World.start(database);
    const { store, now } = world;
    const provider = await addProvider(world);
    await store.groups.add(
      { name: "admins", role: "admin", networkIds: [] },
      { providerId: provider.id, subject: "admins" },
      now,
    );
    const person = { subject: "1", name: "anna", email: null, groups: ["admins"] };
    const { user } = await admit(store, provider, person, now);
    const { id } = (await store.users.findByName("root"))!;
    await store.users.change(id, { role: "user" }, now);
    const anna = world.browser();
    anna.cookies.set("__Host-wgd", (await store.sessions.begin(user.id, {}, now, now + 1_000)).token);
    equal((await anna.get("/users")).status, 200);
    const { status, body } = await anna.delete(`/providers/${provider.id}`);
    equal(status, 409);
    equal(body.error.code, "last-admin");
    equal((await anna.get("/users")).status, 200);
  },
);

eachDatabase("sign-in: two simultaneous first sign-ins of a person make one user", async (database) => {
  await using world = await World.start(database);
  await using other = await database.store();
  const provider = await addProvider(world);
  const person = { subject: "1", name: "anna", email: null, groups: [] };
  const stores = [world.store, other, world.store, other];
  const admitted = await Promise.all(stores.map((store) => admit(store, provider, person, world.now)));
  equal(new Set(admitted.map(({ user }) => user.id)).size, 1);
  deepEqual((await world.store.users.list()).map(({ name }) => name), ["anna", "root"]);
});

eachDatabase("audit: lines that are written at the same time are one chain", async (database) => {
  await using world = await World.start(database);
  await using other = await database.store();
  const stores = [world.store, other];
  await Promise.all(
    Array.from({ length: 60 }, (_, at) =>
      stores[at % 2]!.events.add({
        actor: "system",
        action: "test",
        target: null,
        address: null,
        detail: { at },
      }, world.now)),
  );
  const { items } = await world.store.events.list(undefined, 100);
  ok(items.length >= 60);
  equal(await world.store.events.findBreak(), undefined);
});

function addProvider({ store, now }: World): Promise<Provider> {
  return store.providers.add("ldap", { name: "house", settings: {}, enabled: true }, () => null, now);
}
