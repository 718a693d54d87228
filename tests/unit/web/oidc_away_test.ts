/**
 * OpenID providers that do not answer, and those with a certificate of a private authority.
 *
 * @module
 */

import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { Authority } from "../../../core/web/keeper/certificates.ts";
import { OidcError, OidcProvider } from "../../../core/web/sign_in/oidc.ts";
import { World } from "./world.ts";

/** A provider that answers requests for its configuration as a test says. */
class Configured implements AsyncDisposable {
  requests = 0;
  answer: () => Response | Promise<Response> = () => this.configuration();
  readonly scheme: string;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(tls: { cert?: string; key?: string } = {}) {
    const where = { hostname: "127.0.0.1", port: 0, onListen: () => {}, ...tls };
    this.scheme = tls.cert === undefined ? "http" : "https";
    this.#server = Deno.serve(where as Deno.ServeTcpOptions, () => {
      this.requests++;
      return this.answer();
    });
  }

  get issuer(): string {
    return `${this.scheme}://127.0.0.1:${this.#server.addr.port}`;
  }

  get text(): string {
    const { issuer } = this;
    const [authorization_endpoint, token_endpoint, jwks_uri] = ["go", "token", "keys"].map((name) =>
      `${issuer}/${name}`
    );
    return JSON.stringify({ issuer, authorization_endpoint, token_endpoint, jwks_uri });
  }

  configuration(): Response {
    return new Response(this.text, { headers: { "content-type": "application/json" } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

async function start() {
  await using stack = new AsyncDisposableStack();
  const world = stack.use(await World.start());
  const server = stack.use(new Configured());
  const admin = await world.signedIn();
  const settings = { issuer: server.issuer, clientId: "wgd" };
  const { id } = (await admin.post("/providers", { kind: "oidc", name: "House", settings })).body;
  const begin = async (address?: string) =>
    (await world.browser(address).open(`/sign-in/oidc/${id}`, "GET")).headers.get("location")!;
  const kept = stack.move();
  return { world, server, admin, id, begin, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

Deno.test("oidc: strangers cannot make the server ask a provider that fails again and again", async () => {
  await using scene = await start();
  const { world, server, begin } = scene;
  server.answer = () => new Response("no", { status: 500 });
  for (let n = 0; n < 10; n++) equal(await begin(`192.0.2.${n}`), "/#sign-in-failed=provider-failed");
  equal(server.requests, 1);
  world.now += 5_000;
  server.answer = () => server.configuration();
  ok((await begin()).startsWith(`${server.issuer}/go?`), "it is asked again after some seconds");
  equal(server.requests, 2);
});

Deno.test("oidc: a stranger's failed requests fill the log only as far as their budget", async () => {
  await using scene = await start();
  const { world, id, begin, server } = scene;
  server.answer = () => new Response("no", { status: 500 });
  const places = [];
  for (let n = 0; n < 50; n++) places.push(await begin());
  const failed = "/#sign-in-failed=provider-failed";
  const stopped = "/#sign-in-failed=too-many-attempts";
  deepEqual(places, [...Array(40).fill(failed), ...Array(10).fill(stopped)]);
  for (const path of [`/sign-in/oidc/${id}/callback`, "/sign-in/oidc/none", "/sign-in/oidc/none/callback"]) {
    const { headers } = await world.browser().open(path, "GET");
    equal(headers.get("location"), stopped, path);
  }
  equal(world.log.length, 40, world.log.join("\n"));
});

Deno.test("oidc: sign-ins that begin well cost nothing of a budget", async () => {
  await using scene = await start();
  for (let n = 0; n < 50; n++) ok((await scene.begin()).startsWith(scene.server.issuer));
  equal(scene.server.requests, 1);
});

Deno.test("oidc: a late failure with old settings does not discard what was read with the new ones", async () => {
  await using scene = await start();
  const { world, server, id, begin } = scene;
  const gate = Promise.withResolvers<void>();
  server.answer = async () => {
    await gate.promise;
    return new Response("no", { status: 500 });
  };
  const old = begin();
  while (server.requests === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  server.answer = () => server.configuration();
  const settings = { issuer: server.issuer, clientId: "another" };
  equal((await scene.admin.patch(`/providers/${id}`, { settings })).status, 200);
  ok((await begin()).includes("client_id=another"));
  gate.resolve();
  equal(await old, "/#sign-in-failed=provider-failed");
  ok((await begin()).includes("client_id=another"));
  equal(server.requests, 2);
  equal(world.log.length, 1);
});

Deno.test("oidc: an administrator who tries a provider learns how it is now", async () => {
  await using scene = await start();
  const { server, admin, id, begin } = scene;
  const attempt = async () => (await admin.post(`/providers/${id}/try`, { name: "olga" })).body.decision.code;
  server.answer = () => new Response("no", { status: 500 });
  equal(await attempt(), "status");
  server.answer = () => server.configuration();
  equal(await attempt(), "not-yet", "an earlier failure is not repeated");
  ok((await begin()).startsWith(server.issuer), "people can sign in at once");
  equal(server.requests, 2);
  server.answer = () => new Response("no", { status: 500 });
  equal(await attempt(), "status", "an earlier success is not repeated");
});

let authority: Authority;
// Not in the test, because it loads a library that stays loaded.
Deno.test.beforeAll(async () => {
  const folder = await Deno.makeTempDir();
  authority = await Authority.open(`${folder}/ca.key`, `${folder}/ca.pem`, Date.now());
  await Deno.remove(folder, { recursive: true });
});

async function readPrivately(): Promise<void> {
  const { chain: cert, key } = await authority.issue(["127.0.0.1"], Date.now());
  await using server = new Configured({ cert, key });
  const settings = { issuer: server.issuer, clientId: "wgd", ca: authority.certificate };
  // The body may arrive long after the headers.
  server.answer = () => {
    const text = server.text.padEnd(1 << 20);
    const body = new ReadableStream<Uint8Array>({
      async start(controller) {
        for (let at = 0; at < text.length; at += 1 << 18) {
          await new Promise((resolve) => setTimeout(resolve, 50));
          controller.enqueue(new TextEncoder().encode(text.slice(at, at + (1 << 18))));
        }
        controller.close();
      },
    });
    return new Response(body, { headers: { "content-type": "application/json" } });
  };
  const provider = await OidcProvider.discover(settings, "secret");
  equal(provider.authorizationEndpoint, `${server.issuer}/go`);
  server.answer = () => new Response("no", { status: 500 });
  await rejects(OidcProvider.discover(settings, "secret"), OidcError);
  await rejects(OidcProvider.discover({ ...settings, ca: "no certificate" }, "secret"), OidcError);
  await rejects(OidcProvider.discover({ ...settings, ca: undefined }, "secret"), OidcError);
}

Deno.test({
  name:
    "oidc: a provider with a certificate of a private authority can be read, and leaves no HTTP client open",
  sanitizeResources: true,
  fn: readPrivately,
});
