/**
 * Sign-in by an OpenID provider through the whole API.
 *
 * @module
 */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { CLIENT, OpenIdProvider, signInAt } from "./openid_provider.ts";
import { ADMIN, type Browser, ORIGIN, World } from "./world.ts";

/** What the provider says about everybody. */
function claims(subject: string): Record<string, unknown> {
  return {
    preferred_username: subject === "second" ? ADMIN.name : subject,
    email: subject === "second" ? "anna@example.org" : `${subject}@example.org`,
    role: "admin",
    groups: subject === "anna" ? ["vpn", "unknown"] : subject === "olga" ? ["operators"] : [],
  };
}

/** A server with a provider, and the provider. */
async function start() {
  await using stack = new AsyncDisposableStack();
  const world = stack.use(await World.start());
  const admin = await world.signedIn();
  const added = await admin.post("/providers", {
    kind: "oidc",
    name: "House",
    settings: { issuer: "http://127.0.0.1:1", clientId: CLIENT.id },
    secret: CLIENT.secret,
  });
  const { id } = added.body;
  const provider = stack.use(
    await OpenIdProvider.start([`${ORIGIN}/sign-in/oidc/${id}/callback`], { claims }),
  );
  const settings = { issuer: provider.issuer, clientId: CLIENT.id };
  equal((await admin.patch(`/providers/${id}`, { settings })).body.error.code, "secret-needed");
  equal((await admin.patch(`/providers/${id}`, { settings, secret: CLIENT.secret })).status, 200);
  for (const [name, more] of [["vpn", { networks: ["wg0"] }], ["operators", { role: "admin" }]] as const) {
    equal((await admin.post("/groups", { name, provider: id, ...more })).status, 201);
  }
  const kept = stack.move();
  return { world, admin, id, provider, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** Sends a browser to the provider and back. */
async function signIn(browser: Browser, provider: OpenIdProvider, id: string, subject: string) {
  const away = await browser.open(`/sign-in/oidc/${id}`, "GET");
  equal(away.status, 303);
  match(
    away.headers.get("set-cookie")!,
    /^__Host-wgd-oidc=v1\.[\w-]+; Path=\/; Max-Age=600; HttpOnly; SameSite=Lax; Secure$/,
  );
  const back = await signInAt(provider, away.headers.get("location")!, subject);
  return {
    path: back.pathname + back.search,
    answer: await browser.open(back.pathname + back.search, "GET"),
  };
}

Deno.test("oidc: a person who signs in gets a session, a user, and the networks of their groups", async () => {
  await using server = await start();
  const { world, id, provider, admin } = server;
  const browser = world.browser();
  const listed = (await browser.get("/sign-in/providers")).body;
  deepEqual(listed, [{ id: "local", kind: "local", name: "wgd" }, { id, kind: "oidc", name: "House" }]);
  const { answer, path } = await signIn(browser, provider, id, "anna");
  equal(answer.headers.get("location"), "/");
  deepEqual([...browser.cookies.keys()], ["__Host-wgd"]);
  const me = (await browser.get("/me")).body;
  equal(me.user.name, "anna");
  equal(me.user.role, "user", "a claim named role does not give a role");
  deepEqual(me.networks.map(({ name }: { name: string }) => name), ["wg0"]);
  const again = await browser.open(path, "GET");
  match(again.headers.get("location")!, /^\/#sign-in-failed=/, "an answer is used once");

  const first = me.user.id;
  await signIn(world.browser(), provider, id, "anna");
  equal(
    (await admin.get("/users")).body.filter(({ name }: { name: string }) => name === "anna")[0].id,
    first,
  );
  const tried = (await admin.post(`/providers/${id}/try`, { name: "anna" })).body;
  deepEqual(
    tried.groups.map((
      { name, group }: { name: string; group: { name: string } | null },
    ) => [name, group?.name]),
    [
      ["vpn", "vpn"],
      ["unknown", undefined],
    ],
  );
  equal(tried.decision.text, "anna may sign in as a user, with devices in wg0.");
  match(
    (await admin.post(`/providers/${id}/try`, { name: "nobody" })).body.decision.text,
    /^The provider answers;/,
  );
});

Deno.test("oidc: an equal name or e-mail address does not match an existing user", async () => {
  await using server = await start();
  const { world, id, provider } = server;
  await signIn(world.browser(), provider, id, "anna");
  const browser = world.browser();
  await signIn(browser, provider, id, "second");
  const { user } = (await browser.get("/me")).body;
  equal(user.name, `${ADMIN.name} (House)`);
  equal(user.role, "user");
  equal((await world.signedIn().then((admin) => admin.get("/users"))).body.length, 3);
});

Deno.test("oidc: a configured group makes its members administrators, until they leave it", async () => {
  await using server = await start();
  const { world, id, provider, admin } = server;
  const olga = world.browser();
  await signIn(olga, provider, id, "olga");
  equal((await olga.get("/me")).body.user.role, "admin");
  equal((await olga.get("/users")).status, 200);
  const group = (await admin.get("/groups")).body.find(({ name }: { name: string }) => name === "operators");
  equal(group.members, 1);
  await admin.patch(`/groups/${group.id}`, { role: "user" });
  equal((await olga.get("/users")).status, 403);
});

Deno.test("oidc: a response in another browser, for another provider, or too late does not sign in", async () => {
  await using server = await start();
  const { world, id, provider, admin } = server;
  const victim = world.browser();
  const away = await victim.open(`/sign-in/oidc/${id}`, "GET");
  const back = await signInAt(provider, away.headers.get("location")!, "anna");
  const callback = back.pathname + back.search;
  const failed = async (browser: Browser, path: string) => {
    const answer = await browser.open(path, "GET");
    equal(answer.headers.get("location"), "/#sign-in-failed=provider-failed", path);
    ok(!browser.cookies.has("__Host-wgd"));
  };
  await failed(world.browser(), callback);
  const other = world.browser();
  await other.open(`/sign-in/oidc/${id}`, "GET");
  await failed(other, callback);
  await failed(victim, `/sign-in/oidc/other/callback${back.search}`);
  await victim.open(`/sign-in/oidc/${id}`, "GET");
  world.now += 601_000;
  await failed(victim, callback);

  const off = world.browser();
  await admin.patch(`/providers/${id}`, { enabled: false });
  await failed(off, `/sign-in/oidc/${id}`);
  equal((await off.get("/sign-in/providers")).body.length, 1);
});

Deno.test("oidc: a disabled user cannot sign in with the provider", async () => {
  await using server = await start();
  const { world, id, provider, admin } = server;
  const anna = world.browser();
  await signIn(anna, provider, id, "anna");
  const { user } = (await anna.get("/me")).body;
  await admin.patch(`/users/${user.id}`, { disabled: true });
  equal((await anna.get("/me")).status, 401);
  const { answer } = await signIn(anna, provider, id, "anna");
  equal(answer.headers.get("location"), "/#sign-in-failed=account-disabled");
  equal((await anna.get("/me")).status, 401);
});

Deno.test("providers: secrets are encrypted and never returned, and invalid settings name their field", async () => {
  await using world = await World.start();
  const admin = await world.signedIn();
  const ldap = { url: "ldaps://directory.example.org", shape: "openldap", baseDn: "dc=example,dc=org" };
  const secret = "the searching account's password";
  const { body } = await admin.post("/providers", { kind: "ldap", name: "House", settings: ldap, secret });
  equal(body.hasSecret, true);
  ok(
    !JSON.stringify([body, (await admin.get("/providers")).body, (await admin.get("/devices")).body])
      .includes(secret),
  );
  const stored = new TextDecoder("latin1").decode(await Deno.readFile(`${world.folder}/wgd.db-wal`));
  ok(stored.includes("directory.example.org") && !stored.includes(secret));
  for (
    const [kind, settings, field] of [
      ["ldap", { ...ldap, url: "http://x" }, "url"],
      ["ldap", { ...ldap, url: "ldap://directory.example.org" }, "startTls"],
      ["ldap", { ...ldap, baseDn: " " }, "baseDn"],
      ["ldap", { ...ldap, userFilter: "(uid=" }, "userFilter"],
      ["ldap", { ...ldap, nameAttribute: "uid)(x" }, "nameAttribute"],
      ["ldap", { ...ldap, ca: "x" }, "ca"],
      ["ldap", { ...ldap, password: "x" }, "password"],
      ["oidc", { issuer: "http://id.example.org", clientId: "x" }, "issuer"],
      ["oidc", { issuer: "https://id.example.org" }, "clientId"],
    ] as const
  ) {
    const { status, body } = await admin.post("/providers", { kind, name: "Other", settings });
    equal(status, 400, field);
    equal(body.error.field, field, JSON.stringify(body));
  }
  const elsewhere = { settings: { ...ldap, url: "ldaps://evil.example.org" } };
  equal((await admin.patch(`/providers/${body.id}`, elsewhere)).body.error.field, "secret");
  equal((await admin.patch(`/providers/${body.id}`, { ...elsewhere, secret: null })).body.hasSecret, false);
});
