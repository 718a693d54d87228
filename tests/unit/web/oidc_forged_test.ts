/**
 * Forged ID tokens. They must be refused, even if an attacker can respond instead of the provider.
 *
 * @module
 */

import { generateKeyPairSync } from "node:crypto";
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { CLIENT } from "./openid_provider.ts";
import { es256, type Forgery, ForgingProvider, hs256, otherKeys, rs256 } from "./forging_provider.ts";
import { World } from "./world.ts";

const now = () => Math.floor(Date.now() / 1_000);
const HMAC = { alg: "HS256" };
const STRANGER = otherKeys();

/** All of these are refused for their reason, whatever the provider's metadata allows. */
const FORGERIES: Readonly<Record<string, Forgery & { readonly reason: string }>> = {
  "no signature": {
    reason: 'unexpected JWT "alg"',
    header: { alg: "none" },
    signature: () => "",
  },
  "no signature, which the metadata allow": {
    reason: 'unsupported JWS "alg"',
    header: { alg: "none" },
    signature: () => "",
    metadata: { id_token_signing_alg_values_supported: ["none", "RS256"] },
  },
  "no signature, as None": {
    reason: 'unexpected JWT "alg"',
    header: { alg: "None" },
    signature: () => "",
  },
  "a signature that was cut off": {
    reason: "JWT signature verification failed",
    signature: () => "",
  },
  "a signature by another key": {
    reason: "JWT signature verification failed",
    signature: (input) => rs256(input, STRANGER),
  },
  "a signature by another key, which the token itself names": {
    reason: "JWT signature verification failed",
    header: { jwk: STRANGER.publicKey.export({ format: "jwk" }), kid: undefined },
    signature: (input) => rs256(input, STRANGER),
  },
  "a MAC with the public key": {
    reason: 'unexpected JWT "alg"',
    header: HMAC,
    signature: (input, { publicKey }) =>
      hs256(input, publicKey.export({ format: "pem", type: "spki" }).toString()),
  },
  "a MAC with the public key, which the metadata allow": {
    reason: "unsupported JWS algorithm",
    header: HMAC,
    signature: (input, { publicKey }) =>
      hs256(input, publicKey.export({ format: "pem", type: "spki" }).toString()),
    metadata: { id_token_signing_alg_values_supported: ["HS256", "RS256"] },
  },
  "a MAC with nothing": {
    reason: 'unexpected JWT "alg"',
    header: HMAC,
    signature: (input) => hs256(input, new Uint8Array(1)),
  },
  "an end in the past": {
    reason: "expiration is past",
    claims: { iat: now() - 7_200, exp: now() - 3_600 },
  },
  "no end": {
    reason: '"exp" (expiration time) claim missing',
    claims: { exp: undefined },
  },
  "a start in the future": {
    reason: 'unexpected JWT "nbf"',
    claims: { nbf: now() + 3_600 },
  },
  "another audience": {
    reason: 'unexpected JWT "aud"',
    claims: { aud: "another client" },
  },
  "another audience too, and another party": {
    reason: 'unexpected ID Token "azp"',
    claims: { aud: [CLIENT.id, "another"], azp: "another" },
  },
  "several audiences and no party": {
    reason: "includes additional untrusted audiences",
    claims: { aud: [CLIENT.id, "another"] },
  },
  "another algorithm than the key's": {
    reason: "no applicable keys found",
    header: { alg: "ES256" },
    metadata: { id_token_signing_alg_values_supported: ["ES256", "RS256"] },
  },
  "another issuer": {
    reason: 'unexpected JWT "iss"',
    claims: { iss: "https://other.example.org" },
  },
  "another nonce": {
    reason: 'unexpected ID Token "nonce"',
    claims: { nonce: "of another browser" },
  },
  "no nonce": {
    reason: '"nonce" (nonce) claim missing',
    claims: { nonce: undefined },
  },
  "no subject": {
    reason: '"sub" (subject) claim missing',
    claims: { sub: undefined },
  },
  "another subject at userinfo": {
    reason: 'unexpected "response" body "sub"',
    userinfo: { sub: "root" },
  },
  "an unknown critical header": {
    reason: 'no JWT "crit" header parameter extensions',
    header: { crit: ["x"], x: 1 },
  },
};

async function start() {
  await using stack = new AsyncDisposableStack();
  const world = stack.use(await World.start());
  const provider = stack.use(new ForgingProvider(CLIENT.id));
  const admin = await world.signedIn();
  const settings = { issuer: provider.issuer, clientId: CLIENT.id };
  /** Adds the provider. Its metadata is read again. */
  const add = async () =>
    (await admin.post("/providers", {
      kind: "oidc",
      name: crypto.randomUUID(),
      settings,
      secret: CLIENT.secret,
    }))
      .body.id as string;
  /** Redirects a browser to the provider and back. @returns The final address. */
  const signIn = async (id: string, browser = world.browser()) => {
    const away = (await browser.open(`/sign-in/oidc/${id}`, "GET")).headers.get("location")!;
    const answer = await browser.open(provider.back(away), "GET");
    return { browser, to: answer.headers.get("location") };
  };
  const kept = stack.move();
  return { world, provider, admin, add, signIn, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

Deno.test("oidc: users can sign in at the forging provider if it forges nothing", async () => {
  await using server = await start();
  const { browser, to } = await server.signIn(await server.add());
  equal(to, "/", server.world.log.join("\n"));
  equal((await browser.get("/me")).body.user.name, "anna");
});

for (const [what, { reason, ...forgery }] of Object.entries(FORGERIES)) {
  Deno.test(`oidc: an ID token with ${what} is refused`, async () => {
    await using server = await start();
    server.provider.forgery = forgery;
    const { browser, to } = await server.signIn(await server.add());
    equal(to, "/#sign-in-failed=provider-failed");
    ok(!browser.cookies.has("__Host-wgd"));
    const [line, ...more] = server.world.log;
    match(line!, /^sign-in by OpenID: the OpenID provider did not sign you in: /);
    ok(line!.includes(reason), line);
    deepEqual(more, []);
    equal((await server.world.store.users.list()).length, 1, "nobody was added");
  });
}

Deno.test("oidc: users can sign in after the provider has changed its keys, and a token of the old key is refused", async () => {
  await using server = await start();
  const id = await server.add();
  equal((await server.signIn(id)).to, "/");
  const old = server.provider.changeKeys("2");
  // Strangers could otherwise make the server read the keys again and again.
  equal((await server.signIn(id)).to, "/#sign-in-failed=provider-failed", "keys are read once a minute");
  const now = Date.now;
  using _ = { [Symbol.dispose]: () => void (Date.now = now) };
  Date.now = () => now() + 61_000;
  equal((await server.signIn(id)).to, "/", server.world.log.join("\n"));
  for (const kid of ["1", "2"]) {
    server.provider.forgery = { header: { kid }, signature: (input) => rs256(input, old) };
    equal((await server.signIn(id)).to, "/#sign-in-failed=provider-failed", kid);
  }
});

Deno.test("oidc: nobody can sign in while the provider's keys cannot be read, and then again", async () => {
  await using server = await start();
  const id = await server.add();
  server.provider.hidesKeys = true;
  const { browser, to } = await server.signIn(id);
  equal(to, "/#sign-in-failed=provider-failed");
  ok(!browser.cookies.has("__Host-wgd"));
  match(server.world.log.join("\n"), /did not sign you in: /);
  server.provider.hidesKeys = false;
  equal((await server.signIn(id)).to, "/", server.world.log.join("\n"));
});

Deno.test("oidc: a provider can sign with a key of P-256 (ES256)", async () => {
  await using server = await start();
  server.provider.changeKeys("3", "ES256");
  server.provider.forgery = {
    header: { alg: "ES256" },
    metadata: { id_token_signing_alg_values_supported: ["ES256"] },
    signature: es256,
  };
  equal((await server.signIn(await server.add())).to, "/", server.world.log.join("\n"));
  server.provider.forgery = {
    ...server.provider.forgery,
    signature: (input) => es256(input, generateKeyPairSync("ec", { namedCurve: "P-256" })),
  };
  equal((await server.signIn(await server.add())).to, "/#sign-in-failed=provider-failed");
  match(server.world.log.join("\n"), /JWT signature verification failed/);
});

Deno.test("oidc: the response of one provider is refused for another", async () => {
  await using server = await start();
  await using other = new ForgingProvider(CLIENT.id);
  const { world, provider, admin } = server;
  const id = await server.add();
  const settings = { issuer: other.issuer, clientId: CLIENT.id };
  const { id: otherId } =
    (await admin.post("/providers", { kind: "oidc", name: "other", settings, secret: CLIENT.secret })).body;
  const browser = world.browser();
  const away = (await browser.open(`/sign-in/oidc/${id}`, "GET")).headers.get("location")!;
  const back = provider.back(away);
  // The browser's cookie is for the first provider. Its response goes to the address of the other one.
  const mixed = await browser.open(back.replace(id, otherId), "GET");
  equal(mixed.headers.get("location"), "/#sign-in-failed=provider-failed");
  // RFC 9207: a response that names another issuer.
  await browser.open(`/sign-in/oidc/${id}`, "GET");
  const named = await browser.open(provider.back(away, { iss: other.issuer }), "GET");
  equal(named.headers.get("location"), "/#sign-in-failed=provider-failed");
  ok(!browser.cookies.has("__Host-wgd"));
});

Deno.test("oidc: an e-mail address that the provider has not verified is not shown", async () => {
  await using server = await start();
  const id = await server.add();
  for (
    const [verified, email] of [[false, null], ["false", null], [true, "a@x.org"], [
      undefined,
      "a@x.org",
    ]] as const
  ) {
    server.provider.forgery = {
      claims: { preferred_username: undefined, email: "a@x.org", email_verified: verified },
    };
    const { browser } = await server.signIn(id);
    equal((await browser.get("/me")).body.user.email, email, String(verified));
  }
  const names = (await server.world.store.users.list()).map(({ name }) => name);
  ok(!names.includes("a@x.org"), "the first sign-in gave the name");
});
