/**
 * Sign-in by a real OpenID provider.
 *
 * @module
 */

import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import fc from "fast-check";
import { issuerOf, OidcError, OidcProvider, personOf } from "../../../core/web/sign_in/oidc.ts";
import { CLIENT, OpenIdProvider, signInAt } from "./openid_provider.ts";

const BACK = "https://vpn.example.org/sign-in/oidc/1/callback";

function claims(subject: string): Record<string, unknown> {
  return {
    name: `${subject} of Example`,
    preferred_username: subject,
    email: `${subject}@example.org`,
    groups: ["staff", "staff", 7, "vpn"],
    realm_access: { roles: ["one", "two"] },
  };
}

for (const authentication of ["client_secret_basic", "client_secret_post", "none"] as const) {
  Deno.test(`oidc: a person signs in with code, PKCE and nonce (${authentication})`, async () => {
    await using provider = await OpenIdProvider.start([BACK], { authentication, claims });
    const settings = { issuer: provider.issuer, clientId: CLIENT.id };
    const client = await OidcProvider.discover(
      settings,
      authentication === "none" ? undefined : CLIENT.secret,
    );
    const { url, journey } = await client.begin(BACK);
    const query = new URL(url).searchParams;
    equal(query.get("code_challenge_method"), "S256");
    equal(query.get("nonce"), journey.nonce);
    const back = await signInAt(provider, url, "anna");
    ok(back.href.startsWith(BACK));
    deepEqual(await client.finish(back, journey), {
      subject: JSON.stringify([provider.issuer, "anna"]),
      name: "anna",
      displayName: "anna of Example",
      email: "anna@example.org",
      groups: ["staff", "vpn"],
    });
    await rejects(client.finish(back, journey), OidcError, "a code is used once");
  });
}

Deno.test("oidc: a wrong state, nonce, verifier, secret or issuer does not sign in", async () => {
  await using provider = await OpenIdProvider.start([BACK], { claims, inIdToken: true });
  const settings = { issuer: provider.issuer, clientId: CLIENT.id, groupsClaim: "realm_access.roles" };
  const client = await OidcProvider.discover(settings, CLIENT.secret);
  const journeyTo = async () => {
    const { url, journey } = await client.begin(BACK);
    return { back: await signInAt(provider, url, "bert"), journey };
  };
  for (const wrong of ["state", "nonce", "verifier"] as const) {
    const [one, two] = [await journeyTo(), await journeyTo()];
    await rejects(client.finish(one.back, { ...one.journey, [wrong]: two.journey[wrong] }), OidcError, wrong);
  }
  const { back, journey } = await journeyTo();
  const stranger = await OidcProvider.discover(settings, "another secret");
  await rejects(stranger.finish(back, journey), OidcError);
  const mixed = new URL(back);
  mixed.searchParams.set("iss", "https://other.example.org");
  await rejects(client.finish(mixed, journey), OidcError);
  const refused = new URL(`${BACK}?error=access_denied&state=${journey.state}&iss=${provider.issuer}`);
  await rejects(client.finish(refused, journey), /access_denied/);
  const good = await journeyTo();
  deepEqual((await client.finish(good.back, good.journey)).groups, ["one", "two"]);
});

Deno.test("oidc: a provider that is missing, or has another issuer, cannot be used", async () => {
  await using provider = await OpenIdProvider.start([BACK]);
  const port = new URL(provider.issuer).port;
  for (const issuer of [`http://localhost:${port}`, "http://127.0.0.1:1", `${provider.issuer}/elsewhere`]) {
    await rejects(OidcProvider.discover({ issuer, clientId: CLIENT.id }, CLIENT.secret), OidcError, issuer);
  }
});

Deno.test("issuerOf() accepts https, and http only for this machine", () => {
  for (
    const issuer of ["https://id.example.org/realm", " https://id.example.org ", "http://localhost:8080"]
  ) {
    issuerOf({ issuer, clientId: "x" });
  }
  for (
    const issuer of [
      "http://id.example.org",
      "http://127.0.0.1.example.org",
      "http://localhost.example.org",
      "https://user:word@id.example.org",
      "https://id.example.org?x",
      "file:///etc/passwd",
      "",
      "id",
    ]
  ) throws(() => issuerOf({ issuer, clientId: "x" }), OidcError, issuer);
});

Deno.test("personOf(): for any claims, groups are names, and the identity is issuer and subject", () => {
  deepEqual(personOf("i", "s", { groups: "one", email: "" }, "groups"), {
    subject: '["i","s"]',
    name: "s",
    displayName: null,
    email: null,
    groups: ["one"],
  });
  deepEqual(personOf("i", "s", { "a.b": ["x"], a: { b: ["y"] } }, "a.b").groups, ["x"]);
  deepEqual(personOf("i", "s", {}, "constructor.name").groups, []);
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.string(), (all, path) => {
      const person = personOf("i", "s", all as Record<string, unknown>, path);
      equal(person.subject, '["i","s"]');
      ok(person.groups.every((name) => typeof name === "string" && name !== ""));
    }),
  );
});
