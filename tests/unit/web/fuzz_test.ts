/**
 * Every input of the API, with whatever may come.
 *
 * @module
 */

import { equal, ok } from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { routes } from "../../../core/web/routes/mod.ts";
import type { Route } from "../../../core/web/routing.ts";
import { eachDatabase } from "./databases.ts";
import { type Browser, ORIGIN, World } from "./world.ts";

const FIELDS = [
  ...[
    "name",
    "password",
    "provider",
    "code",
    "network",
    "publicKey",
    "old",
    "new",
    "token",
    "role",
    "disabled",
  ],
  ...[
    "settings",
    "kind",
    "secret",
    "networks",
    "groups",
    "expiresAt",
    "maxDevices",
    "email",
    "external",
    "confirm",
  ],
  ...[
    "owner",
    "reason",
    "enabled",
    "url",
    "shape",
    "baseDn",
    "issuer",
    "clientId",
    "user",
    "totp",
    "__proto__",
  ],
];

const word = fc.oneof(
  fc.string({ unit: "binary", maxLength: 30 }),
  fc.constantFrom(
    "root",
    "anna",
    "wg0",
    "admin",
    "ldap",
    "oidc",
    "local",
    "openldap",
    "' OR 1=1 --",
    "../../etc",
    "%00",
  ),
  fc.constantFrom(
    "ldap://127.0.0.1:1",
    "http://127.0.0.1:1",
    "dc=example",
    "2031-01-01T00:00:00Z",
    "\0",
    "a".repeat(70),
  ),
);
const value = fc.oneof(
  word,
  fc.boolean(),
  fc.constant(null),
  fc.integer(),
  fc.double(),
  fc.array(word, { maxLength: 3 }),
  fc.dictionary(fc.constantFrom(...FIELDS), word, { maxKeys: 4 }),
);
/** Values of which some are right. */
const LIKELY: Readonly<Record<string, fc.Arbitrary<unknown>[]>> = {
  publicKey: [fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => bytes.toBase64())],
  network: [fc.constant("wg0")],
  networks: [fc.constant(["wg0"])],
  kind: [fc.constantFrom("ldap", "oidc")],
  role: [fc.constantFrom("user", "admin")],
  password: [fc.string({ unit: "grapheme", minLength: 10 })],
  settings: [
    fc.constant({ url: "ldap://127.0.0.1:1", shape: "openldap", baseDn: "dc=x" }),
    fc.record({ url: word, shape: fc.constant("active-directory"), baseDn: word, userFilter: word }),
    fc.record({ issuer: fc.oneof(word, fc.webUrl()), clientId: word }),
  ],
  expiresAt: [fc.date({ noInvalidDate: true }).map((date) => date.toISOString())],
  maxDevices: [fc.nat(20)],
  disabled: [fc.boolean()],
};
const body = fc.oneof(
  fc.dictionary(fc.constantFrom(...FIELDS), value, { maxKeys: 6 }).map((value) => JSON.stringify(value)),
  fc.json(),
  fc.string({ unit: "binary" }),
);
const segment = fc.oneof(
  fc.constantFrom("me", "devices", "%2e%2e", "%00", "accept", "x".repeat(500), "%E0%A4%A"),
  fc.stringMatching(/^[\w%.~-]{1,12}$/),
);

/** Bodies that have the fields that a route takes, so that what is made up gets beyond the first check. */
function bodyFor({ body: schema }: Route): fc.Arbitrary<string> {
  const { entries = {} } = (schema ?? {}) as { entries?: Record<string, unknown> };
  const likely = fc.record(
    Object.fromEntries(Object.keys(entries).map((field) => [field, fc.oneof(...LIKELY[field] ?? [], value)])),
    {
      requiredKeys: [],
    },
  );
  return fc.oneof({ weight: 4, arbitrary: likely.map((value) => JSON.stringify(value)) }, body);
}

/** What an answer always is. */
function sound({ status, body, headers }: Awaited<ReturnType<Browser["open"]>>, what: string): void {
  ok(status < 500 || status === 503, `${status} ${what}`);
  equal(headers.get("x-content-type-options"), "nosniff", what);
  if (status >= 400) ok(typeof body.error.code === "string" && typeof body.error.message === "string", what);
}

eachDatabase("fuzz: no route fails with any body or any name", async (database) => {
  await using world = await World.start(database);
  const admin = await world.signedIn();
  const id = (await admin.get("/me")).body.user.id;
  await world.addUser(admin, "anna");
  const anonymous = world.browser("192.0.2.20");
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...routes).chain((route) => fc.tuple(fc.constant(route), bodyFor(route))),
      fc.array(segment, { minLength: 3, maxLength: 3 }),
      fc.boolean(),
      async ([route, body], names, signedIn) => {
        // A day later every budget is full; a week later the session would be over.
        world.now += 10;
        const path = route.path.replaceAll(/:\w+/g, () => names.pop()!);
        const browser = signedIn ? admin : anonymous;
        const answer = await browser.call(route.method, path, route.method === "GET" ? undefined : body);
        sound(answer, `${route.method} ${path} ${body}`);
        // What was made up may be right by chance: then the session has to be begun again.
        if (signedIn && (await admin.get("/me")).status !== 200) {
          ok(
            ["/sign-out", "/me/password", "/me/sessions/:id", "/users/:id/sessions", "/sign-in"].includes(
              route.path,
            ),
            route.path,
          );
          await admin.post("/sign-in", { name: "root", password: "the administrator's own" });
        }
      },
    ),
    { numRuns: 1_500 },
  );
  equal((await admin.get(`/users/${id}`)).body.effectiveRole, "admin");
  equal(await world.store.events.findBreak(), undefined, "the audit log has no break");
  ok(!world.log.some((line) => line.includes("at ")), world.log.join("\n"));
});

eachDatabase("fuzz: no header makes a route fail, and no path reaches another route", async (database) => {
  await using world = await World.start(database);
  const header = fc.stringMatching(/^[\x20-\x7e]{0,60}$/);
  await fc.assert(
    fc.asyncProperty(
      fc.record({ cookie: header, authorization: header, origin: header }),
      fc.array(segment),
      async (headers, path) => {
        const browser = world.browser();
        browser.headers = headers;
        for (const method of ["GET", "POST"]) {
          const answer = await browser.open(`/api/v1/${path.join("/")}`, method);
          const { pathname } = new URL(`${ORIGIN}/api/v1/${path.join("/")}`);
          // What a URL parser leads out of the API gets the page.
          if (pathname.startsWith("/api/v1/") && pathname !== "/api/v1/sign-in/providers") {
            ok([400, 401, 403, 404, 415].includes(answer.status), `${answer.status} ${pathname}`);
          }
          sound(answer, path.join("/"));
        }
        const callback = await browser.open(
          `/sign-in/oidc/${path.join("")}/callback?code=${path.join("")}&state=x`,
          "GET",
        );
        ok([303, 404].includes(callback.status));
        ok(!(callback.headers.get("set-cookie") ?? "").includes("__Host-wgd="));
      },
    ),
    { numRuns: 300 },
  );
});

eachDatabase("fuzz: no list fails with any query or cursor", async (database) => {
  await using world = await World.start(database);
  const admin = await world.signedIn();
  const cursorOf = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const cursor = fc.oneof(word, fc.tuple(value, value).map(cursorOf), fc.jsonValue().map(cursorOf));
  const query = fc.record({
    search: fc.oneof(word, fc.constantFrom("%", "_", "\\", "'", '"', "*")),
    state: fc.constantFrom("online", "idle", "never", "expired", "disabled"),
    sort: fc.constantFrom("name", "-name", "created", "-created", "handshake", "-handshake"),
    network: fc.oneof({ weight: 4, arbitrary: fc.constant("wg0") }, word),
    owner: word,
    limit: fc.oneof(fc.nat(2_000).map(String), fc.constantFrom("-1", "x", "1e3", "0x10", "1.5")),
    cursor,
  }, { requiredKeys: [] });
  await fc.assert(
    fc.asyncProperty(query, async (query) => {
      const search = `${new URLSearchParams(query)}`;
      sound(await admin.get(`/devices?${search}`), search);
      sound(await admin.get(`/events?${new URLSearchParams({ cursor: query.cursor ?? "" })}`), search);
    }),
    { numRuns: 500 },
  );
  ok(!world.log.some((line) => line.includes("at ")), world.log.join("\n"));
});
