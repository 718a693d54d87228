/**
 * The audit log: every route that changes something leaves a line in it. A new route is not forgotten here, since each has
 * to be called.
 *
 * @module
 */

import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { MESSAGES } from "../../../core/web/page/messages/en.ts";
import { routes } from "../../../core/web/routes/mod.ts";
import { newSetupToken } from "../../../core/web/setup.ts";
import { totpCode } from "../../../core/web/sign_in/totp.ts";
import { Events } from "../../../core/web/store/events.ts";
import { addToken } from "../../../core/web/tokens.ts";
import { generateKeys } from "../../netns/lab/keys.ts";
import { eachDatabase } from "./databases.ts";
import { ADMIN, type Answer, type Browser, World } from "./world.ts";

const PROVIDER = {
  kind: "ldap",
  name: "House",
  settings: { url: "ldap://127.0.0.1:1", baseDn: "dc=example", shape: "openldap" },
};
const PASSWORD = "some better words";

/** What is there before each route is called. */
interface Scene {
  readonly world: World;
  readonly admin: Browser;
  /** Identifiers. */
  readonly anna: string;
  readonly device: string;
  readonly own: string;
}

/** Calls a route so that it does what it is for. */
type Use = (scene: Scene) => Promise<Answer>;

const newDevice = (name: string) => ({ network: "wg0", name, publicKey: generateKeys().publicKey });

async function idOf(answer: Promise<Answer>): Promise<string> {
  const { status, body } = await answer;
  equal(status, 201, JSON.stringify(body));
  return body.id;
}

/** Begins to set up a second factor of the administrator's. @returns A code of it. */
async function totp({ admin, world }: Scene): Promise<string> {
  await admin.post("/me/totp");
  const { secret } = world.signIn.setups.values().next().value!;
  return totpCode(secret, Math.floor(world.now / 30_000));
}

/** All routes that can change something. */
const USES: Readonly<Record<string, Use>> = {
  "POST /setup": async ({ world }) => {
    await world.store.database.run("DELETE FROM users");
    const token = await newSetupToken(world.store);
    const network = { name: "wg9", address: "10.9.0.1/24", endpoint: "vpn.example" };
    return await world.browser().post("/setup", {
      token,
      admin: { name: "first", password: PASSWORD },
      network,
    });
  },
  "POST /sign-in": ({ world }) => world.browser().post("/sign-in", ADMIN),
  "POST /sign-out": ({ admin }) => admin.post("/sign-out"),
  "POST /me/devices": ({ admin }) => admin.post("/me/devices", newDevice("another")),
  "PATCH /me/devices/:id": ({ admin, own }) => admin.patch(`/me/devices/${own}`, { name: "renamed" }),
  "DELETE /me/devices/:id": ({ admin, own }) => admin.delete(`/me/devices/${own}`),
  "DELETE /me/sessions/:id": async ({ admin }) =>
    await admin.delete(`/me/sessions/${(await admin.get("/me/sessions")).body[0].id}`),
  "POST /me/password": ({ admin }) => admin.post("/me/password", { old: ADMIN.password, new: PASSWORD }),
  "POST /me/totp": async (scene) => await scene.admin.post("/me/totp", { code: await totp(scene) }),
  "DELETE /me/totp": async (scene) => {
    const code = await totp(scene);
    equal((await scene.admin.post("/me/totp", { code })).status, 204);
    await scene.world.store.database.run("UPDATE identities SET last_totp = NULL");
    return await scene.admin.delete("/me/totp", { code });
  },
  "POST /networks": ({ admin }) =>
    admin.post("/networks", { name: "wg1", address: "10.9.0.1/24", endpoint: "vpn.example" }),
  "PATCH /networks/:id": ({ admin }) => admin.patch("/networks/wg0", { mtu: 1400 }),
  "DELETE /networks/:id": ({ admin }) => admin.delete("/networks/wg0"),
  "POST /devices": ({ admin }) => admin.post("/devices", newDevice("another")),
  "PATCH /devices/:id": ({ admin, device }) => admin.patch(`/devices/${device}`, { disabled: true }),
  "DELETE /devices/:id": ({ admin, device }) => admin.delete(`/devices/${device}`),
  "POST /users": ({ admin }) => admin.post("/users", { name: "new", password: PASSWORD }),
  "PATCH /users/:id": ({ admin, anna }) => admin.patch(`/users/${anna}`, { disabled: true }),
  "DELETE /users/:id": ({ admin, anna }) => admin.delete(`/users/${anna}`),
  "DELETE /users/:id/sessions": ({ admin, anna }) => admin.delete(`/users/${anna}/sessions`),
  "POST /groups": ({ admin }) => admin.post("/groups", { name: "new" }),
  "PATCH /groups/:id": async ({ admin }) =>
    await admin.patch(`/groups/${await idOf(admin.post("/groups", { name: "new" }))}`, { name: "other" }),
  "DELETE /groups/:id": async ({ admin }) =>
    await admin.delete(`/groups/${await idOf(admin.post("/groups", { name: "new" }))}`),
  "POST /providers": ({ admin }) => admin.post("/providers", PROVIDER),
  "PATCH /providers/:id": async ({ admin }) =>
    await admin.patch(`/providers/${await idOf(admin.post("/providers", PROVIDER))}`, { enabled: false }),
  "DELETE /providers/:id": async ({ admin }) =>
    await admin.delete(`/providers/${await idOf(admin.post("/providers", PROVIDER))}`),
  "POST /providers/:id/try": async ({ admin }) =>
    await admin.post(`/providers/${await idOf(admin.post("/providers", PROVIDER))}/try`, { name: "x" }),
  "POST /providers/:id/sync": async ({ admin }) =>
    await admin.post(`/providers/${await idOf(admin.post("/providers", PROVIDER))}/sync`, { confirm: true }),
  "POST /invites": ({ admin }) => admin.post("/invites", { network: "wg0" }),
  "DELETE /invites/:id": async ({ admin }) =>
    await admin.delete(`/invites/${await idOf(admin.post("/invites", { network: "wg0" }))}`),
  "POST /invites/accept": async ({ admin, world }) => {
    const { token } = (await admin.post("/invites", { network: "wg0" })).body;
    const { name, publicKey } = newDevice("guest");
    return await world.browser().post("/invites/accept", { token, name, publicKey });
  },
  "POST /tokens": ({ admin }) => admin.post("/tokens", { name: "new", scopes: ["devices"] }),
  "DELETE /tokens/:id": async ({ admin }) =>
    await admin.delete(`/tokens/${await idOf(admin.post("/tokens", { name: "new", scopes: ["devices"] }))}`),
  "PATCH /settings": ({ admin }) => admin.patch("/settings", { maxDevices: 7 }),
  "POST /backup": ({ admin }) => admin.post("/backup"),
};

/** The action that tells of each; null for one that changes nothing. */
const ACTIONS: Readonly<Record<string, string | null>> = {
  "POST /setup": "user.add",
  "POST /sign-in": "sign-in",
  "POST /sign-out": "sign-out",
  "POST /me/devices": "device.add",
  "PATCH /me/devices/:id": "device.change",
  "DELETE /me/devices/:id": "device.remove",
  "DELETE /me/sessions/:id": "session.end",
  "POST /me/password": "user.password",
  "POST /me/totp": "user.totp-on",
  "DELETE /me/totp": "user.totp-off",
  "POST /networks": "network.add",
  "PATCH /networks/:id": "network.change",
  "DELETE /networks/:id": "network.remove",
  "POST /devices": "device.add",
  "PATCH /devices/:id": "device.change",
  "DELETE /devices/:id": "device.remove",
  "POST /users": "user.add",
  "PATCH /users/:id": "user.change",
  "DELETE /users/:id": "user.remove",
  "DELETE /users/:id/sessions": "user.end-sessions",
  "POST /groups": "group.add",
  "PATCH /groups/:id": "group.change",
  "DELETE /groups/:id": "group.remove",
  "POST /providers": "provider.add",
  "PATCH /providers/:id": "provider.change",
  "DELETE /providers/:id": "provider.remove",
  "POST /providers/:id/try": null,
  "POST /providers/:id/sync": "provider.confirm",
  "POST /invites": "invite.add",
  "DELETE /invites/:id": "invite.remove",
  "POST /invites/accept": "invite.accept",
  "POST /tokens": "token.add",
  "DELETE /tokens/:id": "token.remove",
  "PATCH /settings": "settings.change",
  "POST /backup": "backup",
};

const CHANGING = routes.filter(({ method }) => method !== "GET").map(({ method, path }) =>
  `${method} ${path}`
);

async function lines({ store }: World): Promise<string[]> {
  return (await store.events.list(undefined, 1_000)).items.map(({ action }) => action);
}

/** A browser with a session of the administrator's, without the costly hash of a password. */
async function administrator(world: World): Promise<Browser> {
  const { id } = (await world.store.users.findByName(ADMIN.name))!;
  const from = { address: "192.0.2.10", agent: undefined };
  const { token } = await world.store.sessions.begin(id, from, world.now, world.now + 3_600_000);
  const browser = world.browser();
  browser.cookies.set("__Host-wgd", token);
  return browser;
}

/** The names that the page has to translate. */
function namesIn(detail: unknown): string[] {
  if (typeof detail !== "object" || detail === null || Array.isArray(detail)) return [];
  return Object.entries(detail).flatMap(([name, value]) =>
    name === "before" || name === "after" ? namesIn(value) : [name, ...namesIn(value)]
  );
}

Deno.test("audit: every route that changes something is known here", () => {
  deepEqual(Object.keys(USES).sort(), [...CHANGING].sort());
  deepEqual(Object.keys(ACTIONS).sort(), [...CHANGING].sort());
});

for (const [name, use] of Object.entries(USES)) {
  Deno.test(`audit: ${name} leaves ${ACTIONS[name] ?? "nothing"} in the log`, async () => {
    await using world = await World.start();
    const admin = await administrator(world);
    const { id: anna } = await world.store.users.add({ name: "anna", role: "user" }, world.now);
    const scene = {
      world,
      admin,
      anna,
      device: await idOf(admin.post("/devices", newDevice("phone"))),
      own: await idOf(admin.post("/me/devices", newDevice("laptop"))),
    };
    const before = await lines(world);
    const { status, body } = await use(scene);
    ok(status >= 200 && status < 300, `${status} ${JSON.stringify(body)}`);
    const written = (await lines(world)).slice(0, -before.length);
    const { items } = await world.store.events.list(undefined, 1_000);
    deepEqual(
      items.flatMap(({ detail }) => namesIn(detail)).filter((name) => !(`detail.${name}` in MESSAGES)),
      [],
    );
    const action = ACTIONS[name]!;
    if (action === null) {
      deepEqual(written, ["provider.add"], "the action is not logged, only what prepared it");
    } else ok(written.includes(action), `it wrote ${JSON.stringify(written)}`);
    equal(await world.store.events.findBreak(), undefined);
  });
}

/** A change of several steps, each with its line: a user is disabled, then the devices are removed one by one. */
const IN_STEPS = ["DELETE /users/:id"];

/** All stored data, except the last use of sessions and tokens. */
async function stored({ store: { database } }: World): Promise<unknown> {
  const tables = await database.all(
    database.dialect === "sqlite"
      ? "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
      : "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY name",
  );
  const rows = tables.map(async ({ name }) => {
    const texts = (await database.all(`SELECT * FROM ${name}`)).map((row) =>
      JSON.stringify(row, (key, value) => key === "used_at" ? undefined : value)
    );
    // PostgreSQL moves a row that is changed.
    return [name, texts.sort()];
  });
  return await Promise.all(rows);
}

/** Lets the audit log refuse the lines of an action. */
async function refuseLines({ store: { database } }: World, action: string): Promise<void> {
  const refusal = "CREATE TRIGGER no_line BEFORE INSERT ON events";
  if (database.dialect === "sqlite") {
    await database.run(
      `${refusal} WHEN NEW.action = '${action}' BEGIN SELECT RAISE(ABORT, 'the disk is full'); END`,
    );
    return;
  }
  await database.run(
    `CREATE FUNCTION no_line() RETURNS trigger LANGUAGE plpgsql
      AS $$ BEGIN RAISE EXCEPTION 'the disk is full'; END $$`,
  );
  await database.run(`${refusal} FOR EACH ROW WHEN (NEW.action = '${action}') EXECUTE FUNCTION no_line()`);
}

for (const [name, use] of Object.entries(USES)) {
  const action = ACTIONS[name];
  if (action === null || IN_STEPS.includes(name)) continue;
  eachDatabase(`audit: ${name} changes nothing if the audit log cannot be written`, async (database) => {
    await using world = await World.start(database);
    const { app } = world;
    let before: unknown;
    world.app = {
      async fetch(request, info) {
        before = await stored(world);
        return await app.fetch(request, info);
      },
    };
    const admin = await administrator(world);
    const { id: anna } = await world.store.users.add({ name: "anna", role: "user" }, world.now);
    const scene = {
      world,
      admin,
      anna,
      device: await idOf(admin.post("/devices", newDevice("phone"))),
      own: await idOf(admin.post("/me/devices", newDevice("laptop"))),
    };
    await refuseLines(world, action!);
    const { status, body } = await use(scene);
    equal(status, 500, JSON.stringify(body));
    deepEqual(await stored(world), before);
  });
}

Deno.test("audit: a user who stays disabled because the removal failed has a line that says so", async () => {
  await using world = await World.start();
  const admin = await administrator(world);
  const { id: anna } = await world.store.users.add({ name: "anna", role: "user" }, world.now);
  const device = await idOf(admin.post("/devices", { ...newDevice("phone"), owner: anna }));
  world.keeper.away = true;
  equal((await admin.delete(`/users/${anna}`)).status, 503);
  world.keeper.away = false;
  equal((await admin.get(`/users/${anna}`)).body.disabledBy, "administrator");
  equal((await admin.get(`/devices/${device}`)).status, 200);
  const { items: [last] } = await world.store.events.list(undefined, 1);
  deepEqual({ action: last!.action, target: last!.target, detail: last!.detail }, {
    action: "user.change",
    target: `user:${anna}`,
    detail: { name: "anna", disabled: true, by: "removal" },
  });
  // The line is written once, and the removal can be repeated.
  equal((await admin.delete(`/users/${anna}`)).status, 204);
  deepEqual((await lines(world)).slice(0, 3), ["user.remove", "device.remove", "user.change"]);
});

Deno.test("audit: a line that was changed, added or moved is found, and one that was removed before the last", async () => {
  await using world = await World.start();
  const { store } = world;
  for (let at = 0; at < 8; at++) {
    await store.events.add(
      { actor: "system", action: "test", target: null, address: null, detail: { at } },
      at,
    );
  }
  equal(await store.events.findBreak(), undefined);
  const tampered: Readonly<Record<string, number>> = {
    "UPDATE events SET detail = '{}' WHERE number = 4": 4,
    "UPDATE events SET time = 1 WHERE number = 5": 5,
    "UPDATE events SET actor = 'nobody' WHERE number = 1": 1,
    "UPDATE events SET address = '192.0.2.1' WHERE number = 8": 8,
    "UPDATE events SET previous_hash = '' WHERE number = 3": 3,
    "DELETE FROM events WHERE number = 3": 3,
    "DELETE FROM events WHERE number = 1": 1,
    "UPDATE events SET number = number + 100 WHERE number = 6": 6,
    "INSERT INTO events SELECT 9, time, actor, action, target, address, detail, previous_hash, hash FROM events WHERE number = 8":
      9,
    "UPDATE events SET detail = 'gone' WHERE number = 7": 7,
    "UPDATE events SET detail = 'null' WHERE number = 7": 7,
    "INSERT INTO events SELECT 0, time, actor, action, target, address, detail, previous_hash, hash FROM events WHERE number = 1":
      0,
    "INSERT INTO events SELECT -5, time, actor, action, target, address, detail, previous_hash, hash FROM events WHERE number = 1":
      -5,
  };
  for (const [change, line] of Object.entries(tampered)) {
    await rejects(
      store.database.transaction(async (queries) => {
        await queries.run(change);
        equal(await new Events(queries).findBreak(), line, change);
        throw new Error("undone");
      }),
      /undone/,
    );
  }
  equal(await store.events.findBreak(), undefined);
});

Deno.test("audit: lines that were changed in the database are still listed, each once", async () => {
  await using world = await World.start();
  const admin = await world.signedIn();
  const { store } = world;
  for (let at = 0; at < 4; at++) {
    await store.events.add({ actor: "system", action: "test", target: null, address: null, detail: {} }, at);
  }
  await store.database.run("UPDATE events SET detail = 'gone' WHERE number = 2");
  await store.database.run("UPDATE events SET detail = 'null' WHERE number = 3");
  await store.database.run("UPDATE events SET time = 9000000000000000 WHERE number = 4");
  await store.database.run("UPDATE events SET number = -number WHERE number < 4");
  const ids: number[] = [];
  const details = new Map<number, unknown>();
  for (let cursor: string | null = ""; cursor !== null;) {
    const { status, body } = await admin.get(`/events?limit=1${cursor && `&cursor=${cursor}`}`);
    equal(status, 200);
    for (const { id, after } of body.items) {
      ids.push(id);
      details.set(id, after);
    }
    cursor = body.next;
    ok(ids.length < 20, ids.join());
  }
  deepEqual(ids, [...new Set(ids)].sort((one, other) => other - one));
  deepEqual(ids.slice(-3), [-1, -2, -3]);
  deepEqual(details.get(-2), { detail: "gone" });
  deepEqual(details.get(-3), { detail: "null" });
});

eachDatabase(
  "audit: lines with numbers that wgd never writes hide nothing and stop nothing",
  async (database) => {
    await using world = await World.start(database);
    const admin = await world.signedIn();
    const { store } = world;
    const add = () =>
      store.events.add(
        { actor: "system", action: "test", target: null, address: null, detail: {} },
        world.now,
      );
    const [inserted] = await store.database.all("SELECT * FROM events ORDER BY number LIMIT 1");
    const numbers = ["-9223372036854775808", "9007199254740993", "9007199254740995", "9223372036854775807"];
    for (const number of numbers) {
      const { number: _, ...rest } = inserted!;
      await store.database.run(
        `INSERT INTO events (${Object.keys(rest).join(", ")}, number) VALUES (${
          Object.keys(rest).map(() => "?").join(", ")
        }, ${number})`,
        ...Object.values(rest),
      );
    }
    const before = Number((await store.database.get("SELECT count(*) AS n FROM events"))!.n);
    await add();
    equal((await admin.patch("/settings", { maxDevices: 7 })).status, 204);
    let listed = 0;
    for (let cursor: string | null = ""; cursor !== null;) {
      const { status, body } = await admin.get(`/events?limit=1${cursor && `&cursor=${cursor}`}`);
      equal(status, 200);
      listed += body.items.length;
      cursor = body.next;
      ok(listed < 50);
    }
    equal(listed, before + 2);
    let read = 0;
    for await (const _line of store.events.all()) read++;
    equal(read, before + 2);
    ok(await store.events.findBreak() !== undefined);
  },
);

Deno.test("audit: a setup names the network and the administrator, and where they came from", async () => {
  await using world = await World.start();
  await world.store.database.run("DELETE FROM users");
  await world.store.database.run("DELETE FROM networks");
  const token = await newSetupToken(world.store);
  const network = { name: "wg0", address: "10.8.0.1/24", endpoint: "vpn.example" };
  const admin = { name: "first", password: PASSWORD };
  equal((await world.browser().post("/setup", { token, admin, network })).status, 200);
  const { items } = await world.store.events.list(undefined);
  deepEqual(items.map(({ action, actor, address }) => [action, actor.split(":")[0], address]).reverse(), [
    ["network.add", "setup", "192.0.2.10"],
    ["user.add", "setup", "192.0.2.10"],
    ["sign-in", "user", "192.0.2.10"],
  ]);
});

Deno.test("audit: a token that root makes is logged", async () => {
  await using world = await World.start();
  await addToken(world.store, "deploy", ["devices"], world.now);
  const [line] = (await world.store.events.list(undefined)).items;
  equal(line!.action, "token.add");
  deepEqual(line!.detail, { name: "deploy", scopes: ["devices"] });
});

Deno.test("audit: a sign-in of a disabled user is logged with the name", async () => {
  await using world = await World.start();
  const admin = await world.signedIn();
  const id = await world.addUser(admin, "anna");
  await admin.patch(`/users/${id}`, { disabled: true });
  const { status } = await world.browser().post("/sign-in", { name: "anna", password: "anna's own words" });
  equal(status, 403);
  const [line] = (await world.store.events.list(undefined)).items;
  equal(line!.action, "sign-in.refuse");
  equal(line!.target, `user:${id}`);
});
