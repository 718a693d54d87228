/**
 * The description of the API, generated from the schemas that check its requests.
 *
 * @module
 */

import { toJsonSchema } from "@valibot/to-json-schema";
import type * as v from "valibot";
import config from "../../deno.json" with { type: "json" };
import { cookieName } from "./actor.ts";
import { API } from "./api_path.ts";
import type { Route } from "./routing.ts";
import { errorAnswer, pendingAnswer } from "./schemas.ts";

/** An OpenAPI 3.1 document of routes. */
export function openApi(routes: readonly Route[]): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const path = API + route.path.replace(/:(\w+)/g, "{$1}");
    (paths[path] ??= {})[route.method.toLowerCase()] = operation(route);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "wgd web",
      version: config.version,
      license: { name: config.license, identifier: config.license },
    },
    paths,
    components: {
      securitySchemes: {
        token: { type: "http", scheme: "bearer", description: "wgd web token add, or POST /api/v1/tokens" },
        session: { type: "apiKey", in: "cookie", name: cookieName(true) },
      },
      responses: {
        Pending: {
          description:
            "The change is stored, but an interface could not be changed yet. The server repeats that " +
            "until it succeeds; do not repeat the request",
          content: json(pendingAnswer),
        },
        Error: { description: "Why not", content: json(errorAnswer) },
      },
    },
  };
}

function operation(route: Route): object {
  const { summary, audience, scope, path, query, body, status = 200, gives, mayPend } = route;
  const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  const security = [
    ...(audience === "public" ? [{}] : [{ session: [] }]),
    ...(scope === undefined ? [] : [{ token: [] }]),
  ];
  return {
    summary: scope === undefined ? summary : `${summary} (scope of a token: ${scope})`,
    security,
    parameters: [...inPath, ...inQuery(query)],
    ...(body && { requestBody: { required: true, content: json(body) } }),
    responses: {
      [status]: { description: "Done", ...(gives && { content: json(gives) }) },
      ...(mayPend && { 202: { $ref: "#/components/responses/Pending" } }),
      default: { $ref: "#/components/responses/Error" },
    },
  };
}

function inQuery(query: v.GenericSchema | undefined): object[] {
  if (!query) return [];
  const { properties = {}, required = [] } = schemaOf(query) as {
    properties?: Record<string, object>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: "query",
    required: required.includes(name),
    schema,
  }));
}

function json(schema: v.GenericSchema): object {
  return { "application/json": { schema: schemaOf(schema) } };
}

/** Checks that JSON Schema cannot express are left out. */
function schemaOf(schema: v.GenericSchema): object {
  const { $schema: _, ...rest } = toJsonSchema(schema, { errorMode: "ignore", typeMode: "input" });
  return rest;
}
