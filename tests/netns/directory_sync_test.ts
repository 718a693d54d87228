/**
 * Users of a real directory: sign-in through the whole API, and the effects of changes in the directory.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { Attribute, Change } from "ldapts";
import { generateKeys } from "./lab/keys.ts";
import { rootTest } from "./lab/rooted.ts";
import { ACTIVE_DIRECTORY, OPENLDAP, READER, TestDirectory } from "./lab/directory.ts";
import { type Browser, World } from "../unit/web/world.ts";

const needs = { peers: ["slapd"], programs: ["openssl"] } as const;

/** A directory, and a server that uses it. */
async function start(settings: Record<string, unknown> = {}) {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await TestDirectory.start());
  const world = stack.use(await World.start());
  const admin = await world.signedIn();
  const added = await admin.post("/providers", {
    kind: "ldap",
    name: "House",
    settings: {
      url: directory.url,
      startTls: true,
      ca: directory.ca,
      shape: "openldap",
      bindDn: READER.dn,
      baseDn: OPENLDAP,
      ...settings,
    },
    secret: READER.password,
  });
  equal(added.status, 201, JSON.stringify(added.body));
  const { id } = added.body;
  const kept = stack.move();
  const sync = async () => {
    world.now += 20_000;
    await world.signIn.sync.runAll();
    return (await admin.get(`/providers/${id}`)).body.sync;
  };
  return { directory, world, admin, id, sync, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** Signs a person of the directory in, and gives them a device. */
async function withDevice(world: World, name: string): Promise<{ browser: Browser; publicKey: string }> {
  const browser = await world.signedIn(name, `${name} secret`);
  const { publicKey } = generateKeys();
  const added = await browser.post("/me/devices", { network: "wg0", name: `${name}'s phone`, publicKey });
  equal(added.status, 201, JSON.stringify(added.body));
  return { browser, publicKey };
}

await rootTest("directory: a person signs in, and Try it says what follows", needs, async () => {
  await using server = await start();
  const { directory, world, admin, id } = server;
  const anna = await directory.addPerson("anna");
  const staff = await directory.addGroup("staff", [anna]);
  const before = (await admin.post(`/providers/${id}/try`, { name: "anna" })).body;
  equal(before.entry.dn, anna);
  deepEqual(before.groups, [{ name: staff, group: null }]);
  equal(
    before.decision.text,
    "anna may sign in as a user, but none of their groups gives access to a network.",
  );
  equal((await admin.post("/groups", { name: "staff", provider: id, networks: ["wg0"] })).status, 201);
  const after = (await admin.post(`/providers/${id}/try`, { name: "anna" })).body;
  equal(after.decision.text, "anna may sign in as a user, with devices in wg0.");
  match(
    (await admin.post(`/providers/${id}/try`, { name: "*" })).body.decision.text,
    /^No entry below .*, or more than one, matches/,
  );
  equal((await admin.get("/users")).body.length, 1, "a trial makes no user");

  const browser = world.browser();
  for (const password of ["", "wrong", "anna secret "]) {
    equal(
      (await browser.post("/sign-in", { name: "anna", password, provider: id })).status,
      password === "" ? 400 : 401,
    );
  }
  const me = (await browser.post("/sign-in", { name: "ANNA", password: "anna secret" })).body;
  equal(me.user.name, "anna");
  deepEqual(me.networks.map(({ name }: { name: string }) => name), ["wg0"]);
  equal((await browser.post("/me/password", { old: "anna secret", new: "another password" })).status, 409);
  await directory.pause();
  const away = await world.browser().post("/sign-in", { name: "anna", password: "anna secret" });
  equal(away.body.error.code, "provider-unavailable");
  match(
    (await admin.post(`/providers/${id}/try`, { name: "anna" })).body.decision.text,
    /^The directory cannot be reached/,
  );
});

await rootTest(
  "directory: who is gone or out of the group there is cut here, and comes back with them",
  needs,
  async () => {
    await using server = await start();
    const { directory, world, admin, id, sync } = server;
    const people = ["anna", "bert", "cora"];
    const dns: string[] = [];
    for (const name of people) dns.push(await directory.addPerson(name));
    const staff = await directory.addGroup("staff", dns);
    await admin.post("/groups", { name: "staff", provider: id, external: staff, networks: ["wg0"] });
    const [anna, bert, cora] = await Promise.all(people.map((name) => withDevice(world, name)));
    equal((await sync()).message, "3 of 3 users are in the directory.");

    const members = (values: string[]) =>
      directory.change(OPENLDAP, (client) =>
        client.modify(
          staff,
          new Change({ operation: "replace", modification: new Attribute({ type: "member", values }) }),
        ));
    await members([dns[0]!, dns[2]!]);
    await directory.change(OPENLDAP, (client) => client.del(dns[0]!));
    await sync();
    ok(!world.hasPeer(anna!.publicKey) && !world.hasPeer(bert!.publicKey) && world.hasPeer(cora!.publicKey));
    equal((await anna!.browser.get("/me")).status, 401, "her sessions have ended");
    deepEqual((await bert!.browser.get("/me")).body.networks, []);
    const [gone] = (await admin.get("/users")).body.filter(({ name }: { name: string }) => name === "anna");
    equal(gone.disabledBy, "directory");
    equal(gone.reason, "no longer in the directory");

    await members(dns.slice(1));
    await sync();
    ok(world.hasPeer(bert!.publicKey), "a user who is in the group again is a peer again");
    // Another person with the same name is not the same user, because entryUUID differs.
    await directory.addPerson("anna");
    await members(dns);
    await sync();
    ok(!world.hasPeer(anna!.publicKey));
    const other = await world.signedIn("anna", "anna secret");
    equal((await other.get("/me")).body.user.name, "anna (House)");
    equal((await other.get("/me")).body.deviceCount, 0);
  },
);

await rootTest(
  "directory: who is locked there comes back when unlocked, unless an administrator disabled them",
  needs,
  async () => {
    await using server = await start({ userFilter: "(&(objectClass=person)(!(employeeType=left)))" });
    const { directory, world, admin, id, sync } = server;
    const dn = await directory.addPerson("anna");
    await directory.addPerson("bert");
    await directory.addGroup("staff", [dn]);
    await admin.post("/groups", { name: "staff", provider: id, networks: ["wg0"] });
    const { publicKey, browser } = await withDevice(world, "anna");
    const left = (operation: "add" | "delete") =>
      directory.change(OPENLDAP, (client) =>
        client.modify(
          dn,
          new Change({ operation, modification: new Attribute({ type: "employeeType", values: ["left"] }) }),
        ));
    await left("add");
    await sync();
    ok(!world.hasPeer(publicKey));
    await left("delete");
    await sync();
    ok(world.hasPeer(publicKey), "a user who is in the directory again is a peer again");
    const { user } = (await browser.post("/sign-in", { name: "anna", password: "anna secret" })).body;
    await admin.patch(`/users/${user.id}`, { disabled: true });
    await sync();
    ok(!world.hasPeer(publicKey));
    equal((await browser.post("/sign-in", { name: "anna", password: "anna secret" })).status, 403);
  },
);

await rootTest(
  "directory: an outage of 24 hours, and answers that hide people, cut nobody",
  needs,
  async () => {
    await using server = await start();
    const { directory, world, admin, id, sync } = server;
    const names = Array.from({ length: 8 }, (_, i) => `user${i}`);
    const dns: string[] = [];
    for (const name of names) dns.push(await directory.addPerson(name));
    await directory.addGroup("staff", dns);
    await admin.post("/groups", { name: "staff", provider: id, networks: ["wg0"] });
    const people: { browser: Browser; publicKey: string }[] = [];
    for (const [i, name] of names.entries()) {
      const browser = await world.signedIn(name, `${name} secret`, `192.0.2.${100 + i}`);
      const { publicKey } = generateKeys();
      await browser.post("/me/devices", { network: "wg0", name, publicKey });
      people.push({ browser, publicKey });
    }
    const everybody = async (what: string) => {
      ok(people.every(({ publicKey }) => world.hasPeer(publicKey)), what);
      for (const { browser } of people) equal((await browser.get("/me")).status, 200, what);
    };
    equal((await sync()).state, "ok");
    await directory.pause();
    for (let hours = 0; hours < 24; hours += 2) {
      world.now += 2 * 3_600_000;
      equal((await sync()).state, "failed");
      await everybody(`after ${hours + 2} hours`);
    }
    ok(
      world.log.filter((line) => line.startsWith("directory House")).length < 3,
      "an outage is logged once",
    );
    await directory.resume();
    equal((await sync()).state, "ok");

    // The searching account may no longer read the people, so the directory looks empty.
    const settings = (await admin.get(`/providers/${id}`)).body.settings;
    const set = async (more: Record<string, unknown>) => {
      const { status, body } = await admin.patch(`/providers/${id}`, {
        settings: { ...settings, ...more },
        secret: READER.password,
      });
      equal(status, 200, JSON.stringify(body));
    };
    await set({ userFilter: "(objectClass=device)" });
    match((await sync()).message, /^The directory returned no users/);
    await everybody("an empty answer");
    await set({ baseDn: `ou=groups,${OPENLDAP}` });
    equal((await sync()).state, "held");
    await everybody("another base");
    await set({ baseDn: `ou=nowhere,${OPENLDAP}` });
    equal((await sync()).state, "failed");
    await everybody("no base");
    await set({ userFilter: "(uid=user0)" });
    const held = await sync();
    equal(held.state, "held");
    match(held.message, /7 of 8/);
    await everybody("most are hidden");
    equal((await admin.post(`/providers/${id}/sync`, { confirm: true })).body.state, "ok");
    equal(people.filter(({ publicKey }) => world.hasPeer(publicKey)).length, 1);
    await set({});
    await sync();
    ok(people.every(({ publicKey }) => world.hasPeer(publicKey)), "all users are peers again");
  },
);

await rootTest(
  "directory: a refused account that the directory has disabled is in the audit log",
  needs,
  async () => {
    await using server = await start({
      shape: "active-directory",
      baseDn: ACTIVE_DIRECTORY,
      // slapd lacks objectCategory, which Active Directory itself sets.
      userFilter: "(objectClass=user)",
    });
    const { directory, world, admin } = server;
    const anna = await directory.addUser("anna");
    const bert = await directory.addUser("bert");
    const { user } = (await world.browser().post("/sign-in", { name: "anna", password: "anna secret" })).body;
    await directory.change(ACTIVE_DIRECTORY, async (client) => {
      const disabled = new Attribute({ type: "userAccountControl", values: ["514"] });
      for (const dn of [anna, bert]) {
        await client.modify(dn, new Change({ operation: "replace", modification: disabled }));
      }
    });
    for (const name of ["anna", "bert"]) {
      equal((await world.browser().post("/sign-in", { name, password: `${name} secret` })).status, 403);
    }
    const { items } = (await admin.get("/events")).body;
    const refused = items.filter(({ action }: { action: string }) => action === "sign-in.refuse");
    deepEqual(
      refused.map(({ target }: { target: string }) => target).sort(),
      [null, `user:${user.id}`].sort(),
    );
  },
);
