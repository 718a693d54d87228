/**
 * Local accounts through the whole API.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { deepEqual, equal, match, notEqual, ok, rejects } from "node:assert/strict";
import { changeAccount } from "../../../core/web/accounts.ts";
import { BusyError } from "../../../core/web/sign_in/passwords.ts";
import { Seal } from "../../../core/web/sign_in/seal.ts";
import { countUnreadable } from "../../../core/web/sign_in/sealed.ts";
import { totpCode } from "../../../core/web/sign_in/totp.ts";
import { generateKeys } from "../../netns/lab/keys.ts";
import { eachDatabase } from "./databases.ts";
import { ADMIN, World } from "./world.ts";

const COOKIE = "__Host-wgd";

/** A secret in base32, as an authenticator app reads it. */
function fromBase32(text: string): Uint8Array {
  const bits = [...text].map((letter) =>
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")
  ).join("");
  return Uint8Array.from(bits.match(/.{8}/g)!, (byte) => parseInt(byte, 2));
}

eachDatabase(
  "sign-in: a name and its password begin a session in a cookie that scripts and other sites cannot use",
  async (database) => {
    await using world = await World.start(database);
    const browser = world.browser();
    equal((await browser.get("/me")).status, 401);
    const answer = await browser.post("/sign-in", { name: ADMIN.name, password: ADMIN.password });
    equal(answer.status, 200);
    equal(answer.body.user.name, ADMIN.name);
    equal(answer.body.user.role, "admin");
    match(
      answer.headers.get("set-cookie")!,
      /^__Host-wgd=[\w-]{43}; Path=\/; Max-Age=604800; HttpOnly; SameSite=Strict; Secure$/,
    );
    deepEqual((await browser.get("/me")).body, answer.body);
    const stored = await world.stored();
    ok(stored.includes("argon2id"), "the test has read the database");
    for (const secret of [browser.cookies.get(COOKIE)!, ADMIN.password]) ok(!stored.includes(secret));
  },
);

eachDatabase(
  "sign-in: without the key of second factors, the response reports it, and an administrator or root can remove second factors",
  async (database) => {
    await using world = await World.start(database);
    const admin = await world.signedIn();
    const id = await world.addUser(admin, "anna");
    for (const [name, password] of [["anna", "anna's own words"], [ADMIN.name, ADMIN.password]] as const) {
      const browser = await world.signedIn(name, password);
      const { secret } = (await browser.post("/me/totp")).body;
      const code = totpCode(fromBase32(secret), Math.floor(world.now / 30_000));
      equal((await browser.post("/me/totp", { code })).status, 204);
    }
    // The database comes back without secrets.key.
    Object.assign(world.signIn, { seal: new Seal(new Uint8Array(32)) });
    equal(await countUnreadable(world.store, () => Promise.resolve(world.signIn.seal)), 2);
    equal(await countUnreadable(world.store, () => Promise.resolve(undefined)), 2);
    const signIn = async (
      name: string,
      password: string,
    ) => (await world.browser().post("/sign-in", { name, password, code: "123456" }));
    const refused = await signIn("anna", "anna's own words");
    equal(refused.status, 503);
    equal(refused.body.error.code, "second-factor-lost");
    equal(
      (await signIn("anna", "wrong words")).body.error.code,
      "wrong-sign-in",
      "a wrong password does not tell that the second factor is lost",
    );
    equal((await admin.delete("/me/totp", { code: "123456" })).body.error.code, "second-factor-lost");

    await changeAccount(world.store, ADMIN.name, { withoutSecondFactor: true }, world.now);
    equal((await admin.get("/me")).status, 401, "sessions have ended");
    const again = await world.signedIn();
    equal((await again.patch(`/users/${id}`, { totp: false })).body.totp, false);
    equal((await signIn("anna", "anna's own words")).status, 200);
    equal(await countUnreadable(world.store, () => Promise.resolve(undefined)), 0);

    await changeAccount(
      world.store,
      "anna",
      { password: "some other words", withoutSecondFactor: false },
      world.now,
    );
    equal((await signIn("anna", "anna's own words")).status, 401);
    equal((await signIn("anna", "some other words")).status, 200);
    await rejects(
      changeAccount(world.store, "otto", { withoutSecondFactor: true }, world.now),
      /no user named/,
    );
    const weak = { password: "short", withoutSecondFactor: false };
    await rejects(changeAccount(world.store, "anna", weak, world.now), /the password cannot be used/);
    const { items } = await world.store.events.list(undefined);
    const made = items.filter(({ actor, action }) => actor === "system" && action === "user.change");
    deepEqual(made.map(({ detail }) => detail), [
      { name: "anna", password: "changed" },
      { name: ADMIN.name, totp: false },
    ]);
  },
);

eachDatabase(
  "sign-in: every sign-in has a new session, and ends the one that the browser had",
  async (database) => {
    await using world = await World.start(database);
    const browser = await world.signedIn();
    const before = browser.cookies.get(COOKIE)!;
    await browser.post("/sign-in", { name: ADMIN.name, password: ADMIN.password });
    notEqual(browser.cookies.get(COOKIE), before);
    const old = world.browser();
    old.cookies.set(COOKIE, before);
    equal((await old.get("/me")).status, 401);
    equal((await browser.post("/sign-out")).status, 204);
    equal(browser.cookies.size, 0);
    equal((await browser.get("/me")).status, 401);
  },
);

eachDatabase("sign-in: a session ends after a day without use, and after a week", async (database) => {
  await using world = await World.start(database);
  const browser = await world.signedIn();
  for (let hours = 0; hours < 7 * 24 - 12; hours += 12) {
    world.now += 12 * 3_600_000;
    equal((await browser.get("/me")).status, 200, `after ${hours + 12} hours`);
  }
  world.now += 12 * 3_600_000;
  equal((await browser.get("/me")).status, 401);
  const other = await world.signedIn();
  world.now += 24 * 3_600_000 + 1;
  equal((await other.get("/me")).status, 401);
});

eachDatabase("sign-in: an unknown name and a wrong password get the same response", async (database) => {
  await using world = await World.start(database);
  const answers = [];
  for (const [name, password] of [[ADMIN.name, "wrong"], ["nobody", ADMIN.password], ["nobody", "wrong"]]) {
    answers.push((await world.browser().post("/sign-in", { name, password })).body);
  }
  equal(answers[0].error.code, "wrong-sign-in");
  deepEqual(answers[1], answers[0]);
  deepEqual(answers[2], answers[0]);
});

eachDatabase(
  "sign-in: guessing is stopped for an account and for an address, and the account's own address is not",
  async (database) => {
    await using world = await World.start(database);
    const owner = await world.signedIn(ADMIN.name, ADMIN.password, "198.51.100.1");
    const statuses: number[] = [];
    for (let i = 0; i < 14; i++) {
      const stranger = world.browser(`192.0.2.${i}`);
      statuses.push(
        (await stranger.post("/sign-in", { name: ` ROOT${" ".repeat(i)}`, password: `guess ${i}` })).status,
      );
    }
    deepEqual(statuses, [...Array(10).fill(401), ...Array(4).fill(429)]);
    const late = await world.browser("192.0.2.99").post("/sign-in", {
      name: "root",
      password: ADMIN.password,
    });
    equal(late.status, 429, "the right password has to wait, too");
    equal(late.headers.get("retry-after"), "60");
    equal((await owner.post("/sign-in", { name: ADMIN.name, password: ADMIN.password })).status, 200);
    const one = world.browser("203.0.113.1");
    const many = [];
    for (let i = 0; i < 42; i++) {
      many.push((await one.post("/sign-in", { name: `user ${i}`, password: "x" })).status);
    }
    deepEqual(many, [...Array(40).fill(401), 429, 429]);
  },
);

eachDatabase(
  "accounts: a user who is disabled or expires immediately loses sessions and tunnels, and cannot sign in",
  async (database) => {
    await using world = await World.start(database);
    const admin = await world.signedIn();
    const id = await world.addUser(admin, "anna");
    const anna = await world.signedIn("anna", "anna's own words");
    const { publicKey } = generateKeys();
    equal((await anna.post("/me/devices", { network: "wg0", name: "phone", publicKey })).status, 201);
    ok(world.hasPeer(publicKey));

    await admin.patch(`/users/${id}`, { disabled: true, reason: "left the house" });
    ok(!world.hasPeer(publicKey), "disabled");
    equal((await anna.get("/me")).status, 401);
    const refused = await anna.post("/sign-in", { name: "anna", password: "anna's own words" });
    equal(refused.status, 403);
    equal(refused.body.error.message, "this account is disabled: left the house");
    equal(
      (await anna.post("/sign-in", { name: "anna", password: "wrong" })).body.error.code,
      "wrong-sign-in",
    );

    await admin.patch(`/users/${id}`, {
      disabled: false,
      expiresAt: new Date(world.now + 1_000).toISOString(),
    });
    ok(world.hasPeer(publicKey), "the devices of a user who is enabled again are peers");
    equal((await anna.post("/sign-in", { name: "anna", password: "anna's own words" })).status, 200);
    world.now += 1_000;
    await world.peers.apply({});
    ok(!world.hasPeer(publicKey), "expired");
    equal((await anna.get("/me")).status, 401);
    await admin.patch(`/users/${id}`, { expiresAt: null });
    ok(world.hasPeer(publicKey));

    equal((await admin.delete(`/users/${id}`)).status, 204);
    ok(!world.hasPeer(publicKey), "removed");
    equal((await admin.get("/devices")).body.total, 0);
  },
);

eachDatabase(
  "accounts: a user who leaves a group loses its tunnels, and gets them back on return",
  async (database) => {
    await using world = await World.start(database);
    const admin = await world.signedIn();
    await world.addUser(admin, "anna");
    const anna = await world.signedIn("anna", "anna's own words");
    const { publicKey } = generateKeys();
    await anna.post("/me/devices", { network: "wg0", name: "phone", publicKey });
    const [group] = (await admin.get("/groups")).body;
    equal(group.members, 1);
    await admin.patch(`/groups/${group.id}`, { networks: [] });
    ok(!world.hasPeer(publicKey));
    deepEqual((await anna.get("/me")).body.networks, []);
    equal((await anna.get("/me/devices")).body[0].reason, "no-access");
    equal(
      (await anna.post("/me/devices", { network: "wg0", name: "x", publicKey: generateKeys().publicKey }))
        .status,
      404,
    );
    await admin.patch(`/groups/${group.id}`, { networks: ["wg0"] });
    ok(world.hasPeer(publicKey));
    await admin.delete(`/groups/${group.id}`);
    ok(!world.hasPeer(publicKey));
  },
);

eachDatabase(
  "accounts: a changed password ends all other sessions, and a weak one is refused",
  async (database) => {
    await using world = await World.start(database);
    const admin = await world.signedIn();
    await world.addUser(admin, "anna");
    const [one, two] = [
      await world.signedIn("anna", "anna's own words"),
      await world.signedIn("anna", "anna's own words"),
    ];
    const sessions = (await one.get("/me/sessions")).body;
    equal(sessions.length, 2);
    equal(sessions.filter(({ current }: { current: boolean }) => current).length, 1);
    equal(
      (await one.post("/me/password", { old: "wrong", new: "some better words" })).body.error.field,
      "old",
    );
    equal(
      (await one.post("/me/password", { old: "anna's own words", new: "anna" })).body.error.code,
      "weak-password",
    );
    const before = one.cookies.get(COOKIE);
    equal(
      (await one.post("/me/password", { old: "anna's own words", new: "some better words" })).status,
      204,
    );
    notEqual(one.cookies.get(COOKIE), before);
    equal((await one.get("/me")).status, 200);
    equal((await two.get("/me")).status, 401);
    await world.signedIn("anna", "some better words");
    equal((await two.post("/sign-in", { name: "anna", password: "anna's own words" })).status, 401);
  },
);

eachDatabase(
  "accounts: a session can be ended from another, by its user and by an administrator",
  async (database) => {
    await using world = await World.start(database);
    const admin = await world.signedIn();
    const id = await world.addUser(admin, "anna");
    const [one, two] = [
      await world.signedIn("anna", "anna's own words"),
      await world.signedIn("anna", "anna's own words"),
    ];
    const other = (await one.get("/me/sessions")).body.find(({ current }: { current: boolean }) => !current);
    equal(
      (await admin.delete(`/me/sessions/${other.id}`)).status,
      404,
      "the session of another user cannot be ended",
    );
    equal((await one.delete(`/me/sessions/${other.id}`)).status, 204);
    equal((await two.get("/me")).status, 401);
    equal((await admin.get(`/users/${id}/sessions`)).body.length, 1);
    equal((await admin.delete(`/users/${id}/sessions`)).status, 204);
    equal((await one.get("/me")).status, 401);
  },
);

eachDatabase(
  "accounts: a second factor is required after the password, and each code works once",
  async (database) => {
    await using world = await World.start(database);
    const admin = await world.signedIn();
    const id = await world.addUser(admin, "anna");
    const anna = await world.signedIn("anna", "anna's own words");
    const { secret, uri } = (await anna.post("/me/totp")).body;
    ok(uri.startsWith(`otpauth://totp/wgd:anna?secret=${secret}&`));
    const code = () => totpCode(fromBase32(secret), Math.floor(world.now / 30_000));
    equal((await anna.post("/me/totp", { code: "000000" })).body.error.code, "wrong-code");
    equal((await anna.post("/me/totp", { code: code() })).status, 204);
    equal((await anna.get("/me")).body.totp, true);

    const browser = world.browser();
    const credentials = { name: "anna", password: "anna's own words" };
    equal(
      (await browser.post("/sign-in", { ...credentials, code: code() })).body.error.code,
      "wrong-sign-in",
      "used",
    );
    world.now += 30_000;
    equal((await browser.post("/sign-in", credentials)).body.error.code, "code-needed");
    equal(
      (await browser.post("/sign-in", { ...credentials, password: "wrong" })).body.error.code,
      "wrong-sign-in",
    );
    equal(
      (await browser.post("/sign-in", { ...credentials, code: "123456" })).body.error.code,
      "wrong-sign-in",
    );
    const both = await Promise.all(
      [1, 2].map(() => world.browser().post("/sign-in", { ...credentials, code: code() })),
    );
    deepEqual(both.map(({ status }) => status).sort(), [200, 401], "one code was used twice at once");

    equal((await anna.delete("/me/totp", { code: "123456" })).status, 400);
    world.now += 30_000;
    equal((await anna.delete("/me/totp", { code: code() })).status, 204);
    equal((await browser.post("/sign-in", credentials)).status, 200);
    const again = (await anna.post("/me/totp")).body.secret;
    await anna.post("/me/totp", { code: totpCode(fromBase32(again), Math.floor(world.now / 30_000)) });
    equal((await browser.post("/sign-in", credentials)).body.error.code, "code-needed");
    equal((await admin.patch(`/users/${id}`, { totp: false })).body.totp, false);
    equal((await browser.post("/sign-in", credentials)).status, 200);
  },
);

eachDatabase("accounts: the last administrator cannot be removed", async (database) => {
  await using world = await World.start(database);
  const admin = await world.signedIn();
  const { id } = (await admin.get("/me")).body.user;
  for (
    const change of [
      { role: "user" },
      { disabled: true },
      { expiresAt: new Date(world.now - 1_000).toISOString() },
    ]
  ) {
    const { status, body } = await admin.patch(`/users/${id}`, change);
    equal(status, 409, JSON.stringify(change));
    equal(body.error.code, "last-admin");
    equal((await admin.get("/me")).body.user.role, "admin");
  }
  equal((await admin.delete(`/users/${id}`)).status, 409);
  // It is refused before the password is hashed, which takes long.
  const hash = () => Promise.reject(new BusyError());
  const { passwords } = world.signIn;
  const own = passwords.hash;
  Object.assign(passwords, { hash });
  equal((await admin.patch(`/users/${id}`, { role: "user", password: "other good words" })).status, 409);
  equal((await admin.patch(`/users/${id}`, { password: "other good words" })).status, 503);
  Object.assign(passwords, { hash: own });
  const group = (await admin.post("/groups", { name: "admins", role: "admin" })).body;
  const other = await world.addUser(admin, "anna", { groups: [group.id] });
  equal((await admin.get(`/users/${other}`)).body.effectiveRole, "admin");
  equal((await admin.patch(`/users/${id}`, { role: "user" })).status, 200);
  const anna = await world.signedIn("anna", "anna's own words");
  equal((await anna.patch(`/groups/${group.id}`, { role: "user" })).status, 409);
  equal((await anna.delete(`/groups/${group.id}`)).status, 409);
  equal((await anna.patch(`/users/${other}`, { groups: [] })).status, 409);
  equal((await anna.get("/users")).status, 200);
});

eachDatabase("self-service: users manage only their own devices, within their limit", async (database) => {
  await using world = await World.start(database);
  const admin = await world.signedIn();
  await world.addUser(admin, "anna", { maxDevices: 3 });
  await world.addUser(admin, "bert");
  const anna = await world.signedIn("anna", "anna's own words");
  const bert = await world.signedIn("bert", "bert's own words");
  const add = (name: string) =>
    anna.post("/me/devices", { network: "wg0", name, publicKey: generateKeys().publicKey });
  const added = await Promise.all(["a", "b", "c", "d", "e"].map(add));
  deepEqual(added.map(({ status }) => status).sort(), [201, 201, 201, 409, 409]);
  const { id, config } = added.find(({ status }) => status === 201)!.body;
  ok(!config.includes("PrivateKey"));
  equal((await anna.patch(`/me/devices/${id}`, { name: "renamed" })).body.name, "renamed");
  match((await anna.get(`/me/devices/${id}/config`)).body, /^\[Interface\]/);
  for (const path of [`/me/devices/${id}`, `/me/devices/${id}/config`]) {
    equal((await bert.get(path)).status, 404);
  }
  equal((await bert.patch(`/me/devices/${id}`, { name: "mine" })).status, 404);
  equal((await bert.delete(`/me/devices/${id}`)).status, 404);
  equal((await bert.get("/me/devices")).body.length, 0);
  equal((await bert.delete(`/devices/${id}`)).status, 403);
  equal((await anna.delete(`/me/devices/${id}`)).status, 204);
  equal((await anna.get("/me")).body.deviceCount, 2);
});

eachDatabase("invites: a link of 256 bits adds one device, once, until it expires", async (database) => {
  await using world = await World.start(database);
  const admin = await world.signedIn();
  const user = await world.addUser(admin, "anna");
  const invite = async (more = {}) => (await admin.post("/invites", { network: "wg0", ...more })).body;
  const { token, link, id } = await invite({ user });
  match(link, /^https:\/\/vpn\.example\.org\/invite#[\w-]{43}$/);
  equal(Buffer.from(token, "base64url").length, 32);
  const guest = world.browser();
  const accept = (token: string, publicKey = generateKeys().publicKey) =>
    guest.post("/invites/accept", { token, name: "phone", publicKey });
  const answers = await Promise.all([1, 2, 3].map(() => accept(token)));
  deepEqual(answers.map(({ status }) => status).sort(), [201, 404, 404]);
  equal((await admin.get("/devices")).body.items[0].owner.name, "anna");
  ok((await admin.get("/invites")).body.find((each: { id: string }) => each.id === id).usedAt);

  const late = await invite({ expiresAt: new Date(world.now + 60_000).toISOString() });
  world.now += 60_000;
  equal((await accept(late.token)).status, 404);
  const back = await invite();
  equal((await admin.delete(`/invites/${back.id}`)).status, 204);
  equal((await accept(back.token)).status, 404);
  const twice = await invite();
  const taken = (await admin.get("/devices")).body.items[0].publicKey;
  equal((await accept(twice.token, taken)).status, 409);
  world.keeper.refuses.add("addPeers");
  const [before] = (await admin.get("/devices")).body.items;
  equal((await accept(twice.token)).status, 503);
  deepEqual((await admin.get("/devices")).body.items, [before]);
  equal((await accept(twice.token)).status, 201, "a link that led to no device can be used again");
  const stored = await world.stored();
  ok(stored.includes("invite.accept"), "the test has read the database");
  ok(!stored.includes(twice.token));
});
