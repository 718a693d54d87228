/**
 * Rights that end while a request or a stream is under way.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { generateKeys } from "../../netns/lab/keys.ts";
import { eachDatabase } from "./databases.ts";
import { type Browser, ORIGIN, World } from "./world.ts";

const OLD = "anna's own words";
const NEW = "words of the administrator";

/** A request of a browser, for the app itself. */
function requestOf(browser: Browser, method: string, path: string, body?: ReadableStream): Request {
  const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  return new Request(`${ORIGIN}/api/v1${path}`, {
    method,
    headers: { ...browser.headers, cookie, ...(body && { "content-type": "application/json" }) },
    ...(body && { body }),
  });
}

/** Sends a body whose end is late. @returns Sends the end, and returns the status. */
async function begin(world: World, browser: Browser, path: string, body: unknown) {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const info = { address: browser.address, secure: true, host: "vpn.example.org" };
  const answer = world.app.fetch(requestOf(browser, "POST", path, readable), info);
  // A write ends when the server reads it.
  await writer.write(new TextEncoder().encode(" "));
  return async () => {
    await writer.write(new TextEncoder().encode(JSON.stringify(body)));
    await writer.close();
    return (await answer).status;
  };
}

const ENDINGS: Readonly<Record<string, (admin: Browser, id: string) => Promise<number>>> = {
  "is disabled": async (admin, id) => (await admin.patch(`/users/${id}`, { disabled: true })).status,
  "loses the role": async (admin, id) => (await admin.patch(`/users/${id}`, { role: "user" })).status,
  "loses the sessions": async (admin, id) =>
    (await admin.delete(`/users/${id}/sessions`)).status === 204 ? 200 : 0,
};

for (const [what, end] of Object.entries(ENDINGS)) {
  eachDatabase(
    `rights: an administrator who ${what} cannot complete a request that was begun before`,
    async (database) => {
      await using world = await World.start(database);
      const admin = await world.signedIn();
      const id = await world.addUser(admin, "anna", { role: "admin" });
      const anna = await world.signedIn("anna", OLD);
      const user = { name: "accomplice", password: "accomplice's words", role: "admin" };
      const endUser = await begin(world, anna, "/users", user);
      const endToken = await begin(world, anna, "/tokens", { name: "door", scopes: ["devices"] });
      equal(await end(admin, id), 200);
      const wanted = what === "loses the role" ? 403 : 401;
      equal(await endUser(), wanted);
      equal(await endToken(), wanted);
      equal(await world.store.users.findByName("accomplice"), undefined);
      equal((await admin.get("/tokens")).body.length, 0);
    },
  );

  eachDatabase(`rights: a live stream shows nothing after its reader ${what}`, async (database) => {
    await using world = await World.start(database);
    const admin = await world.signedIn();
    const id = await world.addUser(admin, "anna", { role: "admin" });
    const anna = await world.signedIn("anna", OLD);
    const added = { network: "wg0", name: "phone", publicKey: generateKeys().publicKey };
    const device = (await admin.post("/devices", added)).body.id;
    const response = await world.app.fetch(
      requestOf(anna, "GET", `/live?devices=${device}`),
      { address: anna.address, secure: true, host: "vpn.example.org" },
    );
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = ""; !text.includes("event: devices");) text += (await reader.read()).value;
    equal(await end(admin, id), 200);
    equal((await admin.patch(`/devices/${device}`, { disabled: true })).status, 200);
    const late = setTimeout(() => void reader.cancel("the stream did not end"), 10_000);
    const { done, value } = await reader.read();
    clearTimeout(late);
    ok(done, value);
  });
}

/** Makes the check of a password wait. @returns Waits until it is reached, and lets it go on. */
function hold({ signIn: { passwords } }: World) {
  const reached = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  const verify = passwords.verify.bind(passwords);
  passwords.verify = async (...args) => {
    const right = await verify(...args);
    reached.resolve();
    await go.promise;
    return right;
  };
  return { reached: reached.promise, go: () => (passwords.verify = verify, go.resolve()) };
}

eachDatabase("sign-in: the old password begins no session after it was reset", async (database) => {
  await using world = await World.start(database);
  const admin = await world.signedIn();
  const id = await world.addUser(admin, "anna");
  const held = hold(world);
  const thief = world.browser();
  const answer = thief.post("/sign-in", { name: "anna", password: OLD });
  await held.reached;
  equal((await admin.patch(`/users/${id}`, { password: NEW })).status, 200);
  held.go();
  equal((await answer).status, 401);
  equal((await answer).body.error.code, "wrong-sign-in");
  equal((await thief.get("/me")).status, 401);
  equal((await admin.get(`/users/${id}/sessions`)).body.length, 0);
  await world.signedIn("anna", NEW);
});

eachDatabase("sign-in: a user who is disabled meanwhile gets no session", async (database) => {
  await using world = await World.start(database);
  const admin = await world.signedIn();
  const id = await world.addUser(admin, "anna");
  const held = hold(world);
  const answer = world.browser().post("/sign-in", { name: "anna", password: OLD });
  await held.reached;
  equal((await admin.patch(`/users/${id}`, { disabled: true })).status, 200);
  held.go();
  equal((await answer).status, 403);
  match((await answer).body.error.message, /disabled/);
  equal((await world.store.sessions.listOf(id, world.now)).length, 0);
  const [refused] = (await admin.get("/events")).body.items;
  deepEqual([refused.action, refused.target, refused.address, refused.after], [
    "sign-in.refuse",
    `user:${id}`,
    "192.0.2.10",
    { provider: "password", name: "anna" },
  ]);
});

eachDatabase("users: a request that is refused costs no hash of a password", async (database) => {
  await using world = await World.start(database);
  const admin = await world.signedIn();
  const id = await world.addUser(admin, "anna");
  const anna = await world.signedIn("anna", OLD);
  const { passwords } = world.signIn;
  let hashes = 0;
  const hash = passwords.hash.bind(passwords);
  passwords.hash = (password) => (hashes++, hash(password));
  const user = { name: "ben", password: NEW };
  const statuses = [
    await anna.post("/users", user),
    await world.browser().post("/users", user),
    await admin.post("/users", { ...user, groups: ["unknown"] }),
    await admin.post("/users", { ...user, password: "ben" }),
    await admin.post("/users", { ...user, name: "anna" }),
    await anna.patch(`/users/${id}`, { password: NEW }),
    await admin.patch("/users/unknown", { password: NEW }),
    await admin.patch(`/users/${id}`, { password: NEW, groups: ["unknown"] }),
  ].map(({ status }) => status);
  deepEqual([statuses, hashes], [[403, 401, 400, 400, 409, 403, 404, 400], 0]);
  equal((await admin.post("/users", user)).status, 201);
  equal(hashes, 1);
});

eachDatabase("password: a change with the old password does not undo a reset", async (database) => {
  await using world = await World.start(database);
  const admin = await world.signedIn();
  const id = await world.addUser(admin, "anna");
  const anna = await world.signedIn("anna", OLD);
  const held = hold(world);
  const answer = anna.post("/me/password", { old: OLD, new: "words of the thief" });
  await held.reached;
  equal((await admin.patch(`/users/${id}`, { password: NEW })).status, 200);
  held.go();
  equal((await answer).status, 400);
  equal((await answer).body.error.code, "wrong-password");
  equal((await anna.get("/me")).status, 401);
  await world.signedIn("anna", NEW);
});
