/**
 * Every route of the API, as each kind of caller finds it. A new route is walked without being named here.
 *
 * @module
 */

import { deepEqual, equal, ok } from "node:assert/strict";
import * as v from "valibot";
import { routes } from "../../../core/web/routes/mod.ts";
import type { Route } from "../../../core/web/routing.ts";
import { type Browser, ORIGIN, World } from "./world.ts";

const CHANGING = routes.filter(({ method }) => method !== "GET");

/** Calls a route with names that lead to nothing. */
function walk(browser: Browser, { method, path, body }: Route) {
  return browser.call(method, path.replaceAll(/:\w+/g, "nothing"), body && {});
}

function name({ method, path }: Route): string {
  return `${method} ${path}`;
}

/** All that the store holds, but for when a session was last used. */
async function contents({ store }: World): Promise<string> {
  const tables = await store.database.all(
    "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
  );
  const all = [];
  for (const { name } of tables) {
    all.push(name, await store.database.all(`SELECT * FROM ${name}`));
  }
  return JSON.stringify(all, (key, value) => key === "used_at" ? undefined : value);
}

Deno.test(`routes: without a session, only the public ones of all ${routes.length} can be called`, async () => {
  await using world = await World.start();
  const before = await contents(world);
  for (const route of routes) {
    const { status } = await walk(world.browser(), route);
    if (route.audience === "public") ok(status !== 401 && status !== 403, name(route));
    else equal(status, 401, name(route));
  }
  equal(await contents(world), before);
  deepEqual(
    routes.filter(({ audience }) => audience === "public").map(name).filter((name) =>
      !/ \/(setup|openapi)/.test(name)
    ),
    ["GET /sign-in/providers", "GET /session", "POST /sign-in", "POST /invites/accept"],
  );
});

Deno.test("routes: who is signed in is told to their own browser alone, without an error for others", async () => {
  await using world = await World.start();
  const admin = await world.signedIn();
  await world.addUser(admin, "anna");
  const anna = await world.signedIn("anna", "anna's own words");
  const { status, body, headers } = await anna.get("/session");
  equal(status, 200);
  deepEqual(body, { me: (await anna.get("/me")).body });
  equal(body.me.user.name, "anna");
  equal(headers.get("cache-control"), "no-store");
  const forged = world.browser();
  forged.cookies.set("__Host-wgd", "A".repeat(43));
  const program = world.browser();
  const { secret } = await world.store.tokens.add("program", ["devices"], world.now);
  program.headers = { authorization: `Bearer ${secret}` };
  for (const browser of [world.browser(), forged, program]) {
    const answer = await browser.get("/session");
    deepEqual([answer.status, answer.body], [200, { me: null }]);
  }
  equal((await admin.patch(`/users/${body.me.user.id}`, { disabled: true })).status, 200);
  deepEqual((await anna.get("/session")).body, { me: null });
  equal((await anna.post("/sign-out")).status, 401);
});

Deno.test("routes: an invented cookie or token is not accepted", async () => {
  await using world = await World.start();
  await world.signedIn();
  const [{ token_hash: hash }] = await world.store.database.all("SELECT token_hash FROM sessions") as [
    { token_hash: string },
  ];
  for (const forged of ["x", "A".repeat(43), hash, `${hash}; __Host-wgd=x`]) {
    const browser = world.browser();
    browser.cookies.set("__Host-wgd", forged);
    equal((await browser.get("/me")).status, 401);
  }
  for (const authorization of ["Bearer x", "Bearer ", "Basic cm9vdDpyb290", `Bearer ${hash}`, "bearer"]) {
    const browser = await world.signedIn();
    browser.headers = { authorization };
    equal((await browser.get("/me")).status, 401, "a wrong token is refused even with a valid cookie");
  }
});

Deno.test("routes: a user can call the routes for users, and no others", async () => {
  await using world = await World.start();
  await world.addUser(await world.signedIn(), "anna");
  const before = await contents(world);
  for (const route of routes.filter(({ audience }) => audience === "admin")) {
    const anna = await world.signedIn("anna", "anna's own words");
    const { status, body } = await walk(anna, route);
    equal(status, 403, name(route));
    equal(body.error.code, "not-allowed", name(route));
  }
  const without = (text: string) => text.replace(/"sessions",\[.*?\]|"events",\[.*?\](?=,")/gs, "");
  equal(without(await contents(world)), without(before));
  for (const route of routes.filter(({ audience }) => audience === "user")) {
    const anna = await world.signedIn("anna", "anna's own words");
    const { status } = await walk(anna, route);
    ok(status !== 401 && status !== 403, `${name(route)}: ${status}`);
  }
});

Deno.test("routes: a request from another site, or without an origin, changes nothing", async () => {
  await using world = await World.start();
  const admin = await world.signedIn();
  const own = { ...admin.headers };
  const before = await contents(world);
  for (
    const headers of [
      {},
      { origin: "null" },
      { origin: "https://evil.example" },
      { origin: `${ORIGIN}.evil.example` },
      { origin: ORIGIN.replace("https", "http") },
      { origin: `${ORIGIN}:444` },
      { origin: ORIGIN, "sec-fetch-site": "cross-site" },
      { origin: ORIGIN, "sec-fetch-site": "same-site" },
      { origin: ORIGIN, "sec-fetch-site": "none" },
    ] as Record<string, string>[]
  ) {
    admin.headers = headers;
    for (const route of CHANGING) {
      const { status, body } = await walk(admin, route);
      equal(status, 403, `${name(route)} ${JSON.stringify(headers)}`);
      equal(body.error.code, "foreign-origin");
    }
  }
  equal(await contents(world), before);
  admin.headers = own;
  equal((await admin.get("/me")).status, 200, "the session is still there");
});

Deno.test("routes: no GET changes anything", async () => {
  await using world = await World.start();
  const admin = await world.signedIn();
  await world.addUser(admin, "anna");
  const before = await contents(world);
  for (const route of routes.filter(({ method }) => method === "GET")) await walk(admin, route);
  equal(await contents(world), before);
});

Deno.test("routes: each body refuses fields that it does not know", () => {
  for (const route of routes) {
    if (!route.body) continue;
    for (const field of ["surprise", "id", "ownRole", "disabledBy", "passwordHash", "userId", "__proto__x"]) {
      const { issues = [] } = v.safeParse(route.body, { [field]: "x" });
      ok(issues.some((issue) => v.getDotPath(issue) === field), `${name(route)} takes "${field}"`);
    }
  }
});

Deno.test("routes: bodies are limited, to less for requests without a sign-in", async () => {
  await using world = await World.start();
  for (const { method, path, body, audience } of routes) {
    if (!body) continue;
    const browser = audience === "public" ? world.browser() : await world.signedIn();
    const longest = audience === "public" ? 16 << 10 : 256 << 10;
    for (const [length, isLong] of [[longest, false], [longest + 1, true]] as const) {
      const text = JSON.stringify({ x: "" });
      const padded = text.padEnd(length);
      const { status } = await browser.call(method, path.replaceAll(/:\w+/g, "nothing"), padded);
      equal(status === 413, isLong, `${method} ${path}: ${status} for ${length} bytes`);
    }
  }
});

Deno.test("routes: a token can call the routes of its scope, and no others", async () => {
  await using world = await World.start();
  for (const scope of new Set(routes.flatMap(({ scope }) => scope ?? []))) {
    const { secret } = await world.store.tokens.add(scope, [scope], world.now);
    for (const route of routes.filter(({ audience }) => audience !== "public")) {
      const browser = world.browser();
      browser.headers = { authorization: `Bearer ${secret}` };
      const { status } = await walk(browser, route);
      if (route.scope === scope) ok(status !== 401 && status !== 403, name(route));
      else equal(status, 403, `${scope}: ${name(route)}`);
    }
  }
});

Deno.test("routes: a user finds nothing of another user's", async () => {
  await using world = await World.start();
  const admin = await world.signedIn();
  await world.addUser(admin, "anna");
  const anna = await world.signedIn("anna", "anna's own words");
  const publicKey = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=";
  const device = await admin.post("/me/devices", { network: "wg0", name: "x", publicKey });
  const [session] = (await admin.get("/me/sessions")).body;
  const foreign = [device.body.id, session.id, (await admin.get("/me")).body.user.id];
  ok(foreign.every((id) => typeof id === "string"), JSON.stringify(foreign));
  const own = routes.filter(({ audience, path }) => audience === "user" && path.includes(":"));
  ok(own.length > 3);
  const before = await contents(world);
  for (const route of own) {
    for (const id of foreign) {
      const { method, path, body } = route;
      const answer = await anna.call(method, path.replaceAll(/:\w+/g, id), body && { name: "mine" });
      equal(answer.status, 404, `${name(route)} ${JSON.stringify(answer.body)}`);
    }
  }
  equal(await contents(world), before);
});

Deno.test("mass assignment: users cannot give themselves more rights", async () => {
  await using world = await World.start();
  const admin = await world.signedIn();
  await world.addUser(admin, "anna");
  const anna = await world.signedIn("anna", "anna's own words");
  const device = { network: "wg0", name: "x", publicKey: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=" };
  for (
    const [method, path, body] of [
      ["PATCH", "/me", { role: "admin" }],
      ["POST", "/me/devices", { ...device, owner: "another" }],
      ["POST", "/me/devices", { ...device, expiresAt: null }],
      ["POST", "/me/devices", { ...device, addresses: ["10.8.0.99"] }],
      ["POST", "/me/password", { old: "anna's own words", new: "some better words", role: "admin" }],
      ["POST", "/sign-in", { name: "anna", password: "anna's own words", role: "admin" }],
    ] as const
  ) ok([400, 404].includes((await anna.call(method, path, body)).status), `${path} ${JSON.stringify(body)}`);
  equal((await anna.get("/me")).body.user.role, "user");
  equal((await anna.get("/me")).body.deviceCount, 0);
});
