/**
 * The API: requests in, responses out. It does not use sockets.
 *
 * @module
 */

import { Hono } from "hono";
import * as v from "valibot";
import { API } from "./api_path.ts";
import { type Actor, authenticate } from "./actor.ts";
import type { Context, RequestInfo } from "./context.ts";
import { EndpointError } from "./endpoint.ts";
import { KeeperError } from "./keeper/verbs.ts";
import { servePage } from "./assets/serve.ts";
import { RequestBodies } from "./request_body.ts";
import { routes } from "./routes/mod.ts";
import { ApiError, type Route } from "./routing.ts";
import { StoredError } from "./stored_error.ts";
import { BusyError } from "./sign_in/passwords.ts";
import { beginJourney, endJourney } from "./sign_in/oidc_journey.ts";
import { DatabaseError, NetworkFullError, SubnetError, TakenError } from "./store/errors.ts";

/** The handler of requests. */
export interface App {
  fetch(request: Request, info: RequestInfo): Promise<Response>;
}

type Env = { Bindings: RequestInfo };

/** Assembles the API. */
export function createApp(context: Context): App {
  const app = new Hono<Env>();
  const bodies = new RequestBodies();
  for (const route of routes) {
    app.on(route.method, API + route.path, async (c) => {
      return await answer(route, c.req.raw, c.req.param(), c.env, context, bodies);
    });
  }
  // A provider redirects the browser back, so this GET begins a session. State and nonce prove that this server
  // requested it.
  app.get("/sign-in/oidc/:provider", (c) => beginJourney(context, c.env, c.req.param("provider")));
  app.get(
    "/sign-in/oidc/:provider/callback",
    (c) => endJourney(context, c.req.raw, c.env, c.req.param("provider")),
  );
  app.notFound(({ req }) =>
    servePage(req.raw, context.page) ??
      refuse(new ApiError(404, "not-found", "there is nothing at this address"))
  );
  app.onError((error) =>
    error instanceof StoredError ? pending(error, context) : refuse(asApiError(error, context))
  );
  return {
    fetch: async (request, info) => secured(await app.fetch(request, info), info),
  };
}

async function answer(
  route: Route,
  request: Request,
  params: Readonly<Record<string, string>>,
  info: RequestInfo,
  context: Context,
  bodies: RequestBodies,
): Promise<Response> {
  if (request.method !== "GET") requireSameOrigin(request, info);
  let actor = await authenticate(request, info, context);
  requireRight(route, actor);
  let body: unknown;
  if (route.body) {
    const json = await bodies.read(request, route.audience, info.address);
    // The rights may have ended while the body arrived.
    actor = await authenticate(request, info, context);
    requireRight(route, actor);
    body = check(route.body, json, "the request");
  }
  const query = route.query ? check(route.query, readQuery(request), "the query") : undefined;
  const given = await route.handle({ actor, body, query, params, request, info, context });
  if (given instanceof Response) return given;
  const status = route.status ?? 200;
  return status === 204 ? new Response(null, { status }) : Response.json(given, { status });
}

/**
 * Other sites can make a browser send requests with this server's cookie, so a request that changes something must come
 * from the server's own page. Programs with a token have no cookie.
 *
 * @throws {ApiError} If it comes from another origin.
 */
function requireSameOrigin(request: Request, { host, secure }: RequestInfo): void {
  if (request.headers.has("authorization")) return;
  const site = request.headers.get("sec-fetch-site");
  const origin = request.headers.get("origin");
  const own = `${secure ? "https" : "http"}://${host}`;
  if ((site === null || site === "same-origin") && origin === own) return;
  throw new ApiError(403, "foreign-origin", "this request does not come from this server's own page");
}

/** @throws {ApiError} If the actor may not call the route. */
function requireRight({ audience, scope }: Route, actor: Actor): void {
  if (audience === "public") return;
  switch (actor.kind) {
    case "nobody":
      throw new ApiError(401, "not-signed-in", "sign in first", undefined, undefined, {
        "www-authenticate": "Bearer",
      });
    case "token":
      if (scope !== undefined && actor.scopes.includes(scope)) return;
      throw new ApiError(403, "not-allowed", "this token may not be used for this");
    case "user":
      if (audience === "user" || actor.user.role === "admin") return;
      throw new ApiError(403, "not-allowed", "only administrators may do this");
  }
}

function readQuery(request: Request): Record<string, string> {
  return Object.fromEntries(new URL(request.url).searchParams);
}

function check(schema: v.GenericSchema, value: unknown, what: string): unknown {
  const parsed = v.safeParse(schema, value);
  if (parsed.success) return parsed.output;
  const issue = parsed.issues[0];
  const field = issue.path?.map(({ key }) => key).findLast((key) => typeof key === "string") as
    | string
    | undefined;
  throw new ApiError(
    400,
    "bad-request",
    field === undefined ? `${what} cannot be used: ${issue.message}` : `"${field}": ${issue.message}`,
    field,
  );
}

function asApiError(error: Error, { log }: Context): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof BusyError) {
    return new ApiError(503, "busy", error.message, undefined, undefined, { "retry-after": "5" });
  }
  if (error instanceof TakenError) {
    return new ApiError(409, "taken", error.message, error.field, error.detail);
  }
  if (error instanceof EndpointError) return new ApiError(400, "bad-request", error.message, "endpoint");
  if (error instanceof SubnetError) return new ApiError(400, "bad-request", error.message, "address");
  if (error instanceof NetworkFullError) return new ApiError(409, "network-full", error.message);
  if (error instanceof DatabaseError) {
    log(error.message);
    return new ApiError(503, "database", "the database cannot be used now; the log of wgd web says why");
  }
  if (error instanceof KeeperError) {
    log(`the keeper: ${error.message}`);
    return new ApiError(503, "keeper", `the interface could not be changed: ${error.message}`);
  }
  // The error is only logged. In a response it would reveal internals to strangers.
  log(error.stack ?? error.message);
  return new ApiError(500, "fault", "something went wrong; the log of wgd web says what");
}

/** The change must not be requested again, so this is not an error. */
function pending({ message }: StoredError, { log }: Context): Response {
  log(message);
  return Response.json({ pending: { code: "keeper", message } }, { status: 202 });
}

function refuse({ status, code, message, field, detail, headers }: ApiError): Response {
  return Response.json({ error: { code, message, field, detail } }, { status, headers });
}

/** Adds the headers of every response. */
function secured(response: Response, { secure }: RequestInfo): Response {
  const { headers } = response;
  headers.set("x-content-type-options", "nosniff");
  headers.set("referrer-policy", "no-referrer");
  headers.set("cross-origin-opener-policy", "same-origin");
  headers.set("cross-origin-resource-policy", "same-origin");
  if (!headers.has("cache-control")) headers.set("cache-control", "no-store");
  if (!headers.has("content-security-policy")) {
    headers.set("content-security-policy", "default-src 'none'; frame-ancestors 'none'");
  }
  if (secure) headers.set("strict-transport-security", "max-age=31536000");
  return response;
}
